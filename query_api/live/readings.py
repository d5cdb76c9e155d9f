"""What a sample says of each topic, as clients get it: the `data` of an event."""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec


class Topic(StrEnum):
    """What a client can follow; the names of its events."""

    VIEWERS = "viewers"
    QUALITY = "quality"
    LAG = "lag"


class TitleViewers(msgspec.Struct, frozen=True, gc=False):
    """How many watch a title. `title_name`: None of one that nobody watches."""

    title_id: str
    title_name: str | None
    viewers: int | None


class Viewers(msgspec.Struct, frozen=True):
    """How many watch now: sessions, counted as by GET /v1/titles/{title_id}/viewers. `titles`: the most watched, or
    those that were asked for; the count of one of these is None when it is too small to be known.
    """

    as_of: datetime
    viewers: int
    titles_watched: int
    titles: list[TitleViewers]


class Quality(msgspec.Struct, frozen=True):
    """How the sessions fare that started from `begins_at` on: the numbers of GET /v1/quality. A ratio of nothing is
    None.
    """

    as_of: datetime
    begins_at: datetime
    plays: int
    starts: int
    exits_before_video: int
    exits_before_video_ratio: float | None
    start_failures: int
    start_failure_ratio: float | None
    playback_failures: int
    playback_failure_ratio: float | None
    startup_ms_p50: int | None
    startup_ms_p95: int | None
    stalled_play_ratio: float | None
    rebuffering_ratio: float | None
    average_bitrate_kbps: int | None


class ProjectionLag(msgspec.Struct, frozen=True):
    """How far the projection of a store is behind, as GET /v1/projections says it."""

    projection: str
    ready: bool
    reason: str | None
    lag_records: int | None
    freshness_s: float | None
    dead_letters_open: int | None


class Lag(msgspec.Struct, frozen=True):
    """How far all are. `kafka`: why it cannot be asked, or None."""

    as_of: datetime
    kafka: str | None
    projections: list[ProjectionLag]


class Unavailable(msgspec.Struct, frozen=True):
    """Instead of a sample: the store that it is read from does not answer. `store` is None when it is not known which
    of several.
    """

    as_of: datetime
    topic: Topic
    store: str | None
    reason: str


Reading: TypeAlias = Viewers | Quality | Lag | Unavailable
Read: TypeAlias = Callable[[], Awaitable[Reading]]
"""Reads what a topic says now. Raises StoreUnavailable."""

UNAVAILABLE: Final = "unavailable"


def shown(reading: Reading, *, titles: Collection[str], most_titles: int) -> bytes:
    """A reading as JSON, with the titles that a client asked for, or with the most watched."""
    if isinstance(reading, Viewers):
        asked = _asked(reading, titles) if titles else reading.titles[:most_titles]
        reading = msgspec.structs.replace(reading, titles=asked)
    return msgspec.json.encode(reading)


def _asked(reading: Viewers, titles: Collection[str]) -> list[TitleViewers]:
    known = {each.title_id: each for each in reading.titles}
    # All that are watched are among those read, or a title that is not may be one of the rest.
    unseen = 0 if len(known) == reading.titles_watched else None
    return [known.get(title_id, TitleViewers(title_id, None, unseen)) for title_id in titles]
