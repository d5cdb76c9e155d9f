"""Event ids: how far a client is in each topic that it follows, as it sends them back in Last-Event-ID.

`viewers=1767298530000&quality=1767298525000`: one id for the whole stream, since a browser keeps only the last.
"""

import re
from collections.abc import Mapping
from typing import Final

from query_api.live.readings import Topic

PLACE: Final = re.compile(r"({})=([0-9]{{1,15}})".format("|".join(Topic)))


def written(places: Mapping[Topic, int]) -> str:
    """The id of a client that got these samples last, by when their intervals began, in ms."""
    return "&".join(f"{topic}={at_ms}" for topic, at_ms in places.items())


def read(given: str | None) -> dict[Topic, int]:
    """How far a client is; of what is no id of ours at the beginning of everything, which nobody keeps."""
    if given is None:
        return {}
    places = [PLACE.fullmatch(part) for part in given.split("&", len(Topic))]
    if None in places:
        return dict.fromkeys(Topic, 0)
    return {Topic(place[1]): int(place[2]) for place in places if place is not None}
