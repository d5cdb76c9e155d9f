"""GET /v1/live: what happens now, as server-sent events, for dashboards that stay open. docs/live.md"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Request

from infra.access.authentication import BearerAuthentication, Needs, Unauthenticated, check_scope
from infra.access.permissions import Principal, Scope
from infra.http.openapi import replies
from infra.settings import Settings
from query_api.dependencies import EVERY_READ, ReadSettings
from query_api.live.feed import Feed
from query_api.live.now import reads_of
from query_api.live.places import STREAMS_FULL, TOO_MANY_STREAMS, Places
from query_api.live.readings import UNAVAILABLE, Topic
from query_api.live.streams import Asked, LiveStream
from query_api.live.window import Why
from query_api.progress import ProgressReader
from query_api.sources import Sources
from query_api.stores import StoreUnavailable

TOPICS_PATTERN: Final = "^({0})(,({0}))*$".format("|".join(Topic))
TITLES_MAX: Final = 20
TITLE_ID_MAX_CHARS: Final = 128
SCOPES: Final[Mapping[Topic, Scope]] = {
    Topic.VIEWERS: Scope.PLAYBACK_READ,
    Topic.QUALITY: Scope.PLAYBACK_READ,
    Topic.LAG: Scope.OPERATIONS_READ,
}
"""What each topic asks for."""

EXAMPLE: Final = """retry: 2010

event: viewers
data: {"as_of":"2026-01-01T20:15:30.012Z","viewers":1204,"titles_watched":1,"titles":[{"title_id":"made-up-s1e1",\
"title_name":"The First Evening","viewers":1204}]}
id: viewers=1767298530000

event: quality
data: {"as_of":"2026-01-01T20:15:30.015Z","begins_at":"2026-01-01T20:11:00Z","plays":412,"starts":398,\
"exits_before_video":7,"exits_before_video_ratio":0.017,"start_failures":3,"start_failure_ratio":0.0073,\
"playback_failures":1,"playback_failure_ratio":0.0025,"startup_ms_p50":820,"startup_ms_p95":2340,\
"stalled_play_ratio":0.09,"rebuffering_ratio":0.003,"average_bitrate_kbps":5800}
id: viewers=1767298530000&quality=1767298530000

event: unavailable
data: {"as_of":"2026-01-01T20:15:35.004Z","topic":"viewers","store":"postgres","reason":"no answer in time"}
id: viewers=1767298535000&quality=1767298530000

"""

EVENT: Final = {
    "description": "One event; `data` is JSON. docs/live.md says what there is.",
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": [*Topic, UNAVAILABLE, *Why, "end"]},
        "data": {"type": "string"},
        "id": {"type": "string"},
        "retry": {"type": "integer", "minimum": 0},
    },
}

Follower = Annotated[Principal, Depends(Needs(Scope.PLAYBACK_READ, Scope.OPERATIONS_READ))]


class Live:
    """What a process serves live: a feed for each topic, and the places for those who follow."""

    def __init__(self, sources: Sources, progress: ProgressReader, settings: Settings) -> None:
        reads = reads_of(sources, progress, settings)
        self.feeds = {topic: Feed(topic, read, settings) for topic, read in reads.items()}
        self.places = Places(settings)

    async def close(self) -> None:
        """Take no more samples."""
        for feed in self.feeds.values():
            await feed.close()


async def asked_topics(
    caller: Follower,
    topics: Annotated[
        str | None,
        Query(
            pattern=TOPICS_PATTERN,
            description="Separated by commas; left out: all you may see",
            examples=["viewers,quality"],
        ),
    ] = None,
) -> Sequence[Topic]:
    """The topics that a client wants, each once. Raises ScopeMissing."""
    if topics is None:
        return [topic for topic in Topic if SCOPES[topic] in caller.scopes]
    named = list(dict.fromkeys(map(Topic, topics.split(","))))
    for topic in named:
        check_scope(caller, SCOPES[topic])
    return named


routes = APIRouter(tags=["live"])


@routes.get(
    "/v1/live",
    response_class=LiveStream,
    status_code=200,
    responses=replies(EXAMPLE, *EVERY_READ, TOO_MANY_STREAMS, STREAMS_FULL, media_type=LiveStream.media_type),
    openapi_extra={"responses": {"200": {"content": {LiveStream.media_type: {"schema": EVENT}}}}},
)
async def follow(
    request: Request,
    caller: Follower,
    settings: ReadSettings,
    topics: Annotated[Sequence[Topic], Depends(asked_topics)],
    title_id: Annotated[
        list[Annotated[str, Query(max_length=TITLE_ID_MAX_CHARS)]] | None,
        Query(
            max_length=TITLES_MAX,
            description="Viewers of these, instead of the most watched",
            examples=[["made-up-s1e1"]],
        ),
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            description="The id of the last event that came; what followed is sent",
            examples=["viewers=1767298530000"],
        ),
    ] = None,
) -> LiveStream:
    """Viewers, quality of experience and lag now: a sample of each, every few seconds, until you leave."""

    async def is_still_let_in() -> bool:
        return await _is_let_in(request, topics)

    live: Live = request.app.state.live
    asked = Asked(
        caller=caller.subject,
        topics=topics,
        after=last_event_id,
        titles=tuple(dict.fromkeys(title_id or ())),
        is_still_let_in=is_still_let_in,
    )
    return LiveStream(asked, [live.feeds[topic] for topic in topics], live.places, settings)


async def _is_let_in(request: Request, topics: Sequence[Topic]) -> bool:
    """Whether a stream's token holds still. While Postgres is away nobody knows of an API key: it goes on."""
    authentication: BearerAuthentication = request.app.state.authentication
    try:
        caller = await authentication.caller(request)
    except Unauthenticated:
        return False
    except StoreUnavailable:
        return True
    return all(SCOPES[topic] in caller.scopes for topic in topics)
