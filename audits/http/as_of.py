"""GET /v1/audit/as-of/...: what was known and what held at a time, with the events that made it so."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field

from audits.as_of import answering
from audits.as_of.asking import positions_of
from audits.as_of.cuts import Cut
from audits.as_of.holdings import Question
from audits.as_of.keys import parsed
from audits.http.asking import AUDITOR, EVERY_QUESTION, Asks, Without, while_here
from audits.http.problems import NOT_IN_HISTORY, QUESTION_INVALID
from audits.sources import Source, Sources
from infra.clock import utc_now
from infra.http.openapi import replies
from infra.moments import Moment
from query_api.dependencies import ID_MAX_CHARS, ID_PATTERN, POSITION_EXAMPLE, ReadSettings
from query_api.staff_actions import masked

DECISIVE: Final[dict[str, Any]] = {
    "about": "subscription",
    "id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d",
    "type": "subscription.SubscriptionActivated.v1",
    "time": "2026-01-31T09:30:00Z",
    "recorded_time": "2026-01-31T09:30:00.041000Z",
    "actor": "billing",
    "place": "subscription.events:3:17",
    "stream": "subscription.account-household-1",
}
STREAM: Final = {
    "stream": "subscription.account-household-1",
    "version": 3,
    "state": {"status": "active"},
    "events": [{**DECISIVE, "about": "the stream"}],
    "later": 2,
}
SUBSCRIPTION: Final = {
    "account_id": "household-1",
    "at": "2026-02-21T21:04:00Z",
    "status": "active",
    "access": True,
    "access_until": "2026-03-07T09:30:00Z",
    "limits": {"streams": 2, "max_resolution": "1080p", "profiles": 5, "downloads": 10, "ads": False, "devices": 10},
    "subscription": {"subscription_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c40"},
    "purchases": [],
    "usable": [],
    "events": [DECISIVE],
}
ENTITLED: Final[dict[str, Any]] = {
    "account_id": "household-1",
    "title_id": "heat",
    "territory": "KR",
    "profile_id": None,
    "at": "2026-02-21T21:04:00Z",
    "known_at": "2026-02-21T21:04:00Z",
    "happened_by": "2026-02-21T21:04:00Z",
    "entitled": True,
    "by": "subscription",
    "refused": None,
    "reason": "The subscription covers it.",
    "members": {},
    "title_name": "Heat",
    "licences": ["svod"],
    "minimum_age": 15,
    "maturity_limit": None,
    "subscription_status": "active",
    "access_until": "2026-03-07T09:30:00Z",
    "purchase_id": None,
    "events": [DECISIVE],
}
TITLE: Final = {
    "title_id": "heat",
    "at": "2026-02-21T21:04:00Z",
    "territory": "KR",
    "published": True,
    "available": True,
    "licences": ["svod"],
    "opens_at": None,
    "minimum_age": 15,
    "ratings": [{"system": "KMRB", "value": "15", "minimum_age": 15}],
    "title": {"title_id": "heat", "status": "published"},
    "windows": [{"territory": "KR", "licence": "svod", "starts_at": "2026-01-01T00:00:00Z", "ends_at": None}],
    "events": [{**DECISIVE, "about": "title", "type": "catalog.TitlePublished.v1"}],
}
ROWS: Final = {
    "view": "playback_sessions",
    "key": {"session_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d"},
    "rows": [{"session_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d", "state": "playing", "watched_ms": 61000}],
    "events": [{**DECISIVE, "about": "playback_sessions", "type": "playback.PlaybackProgressed.v1"}],
    "changes": 1,
    "failed": [],
    "lacks": [],
}
REFUSED: Final = (*EVERY_QUESTION, QUESTION_INVALID, NOT_IN_HISTORY)

Answer = Callable[[Sources], Awaitable[msgspec.Struct]]
MomentExample: Final = "2026-02-21T21:04:00+09:00"


def _id(description: str, example: str) -> Any:
    return Path(min_length=1, max_length=ID_MAX_CHARS, pattern=ID_PATTERN, description=description, examples=[example])


At = Annotated[Moment | None, Query(description="The moment that is asked about; now", examples=[MomentExample])]
KnownAt = Annotated[
    Moment | None,
    Query(description="By what had been taken then; default: what `at` says", examples=[MomentExample]),
]
HappenedBy = Annotated[Moment | None, Query(description="And had happened by then", examples=[MomentExample])]
Positions = Annotated[
    str | None,
    Query(max_length=4096, description="Up to these positions of partitions", examples=[POSITION_EXAMPLE]),
]
Territory = Annotated[str | None, Query(pattern="^[A-Z]{2}$", description="Where; ISO 3166-1 alpha-2", examples=["KR"])]
AccountId = Annotated[str, _id("An account", "household-1")]
TitleId = Annotated[str, _id("A film, an episode or a series", "heat")]


async def moment(at: At = None, known_at: KnownAt = None) -> tuple[datetime, Cut]:
    """A moment that is asked about, and what was known of it."""
    asked = at or utc_now()
    return asked, Cut(known_at=known_at or asked, happened_by=asked)


async def cut(
    at: Annotated[Moment | None, Query(description="By what had been taken then", examples=[MomentExample])] = None,
    happened_by: HappenedBy = None,
    positions: Positions = None,
) -> Cut:
    """Which events count; nothing said: all. Raises CutRefused."""
    told = () if positions is None else positions_of(positions)
    return Cut(known_at=at, happened_by=happened_by, positions=told)


Then = Annotated[tuple[datetime, Cut], Depends(moment)]
UpTo = Annotated[Cut, Depends(cut)]

routes = APIRouter(prefix="/v1/audit/as-of", tags=["as-of"], dependencies=[AUDITOR])


@routes.get("/streams/{stream_id}", response_class=Response, responses=replies(STREAM, *REFUSED))
async def read_stream(
    request: Request,
    auditing: Asks,
    stream_id: Annotated[str, _id("A stream", "subscription.account-household-1")],
    up_to: UpTo,
    version: Annotated[int | None, Query(ge=0, le=2**31, description="Up to this version", examples=[3])] = None,
) -> Response:
    """A stream's state as its decider would have had it, and the events that made it."""
    return await _answered(
        request, auditing, lambda sources: answering.stream(sources, stream_id, up_to, at_version=version)
    )


@routes.get("/accounts/{account_id}/subscription", response_class=Response, responses=replies(SUBSCRIPTION, *REFUSED))
async def read_subscription(request: Request, auditing: Asks, account_id: AccountId, then: Then) -> Response:
    """What an account held: its subscription and its purchases, and whether they gave access."""
    at, up_to = then
    question = Question(account_id=account_id, at=at)
    return await _answered(request, auditing, lambda sources: answering.subscription(sources, question, up_to))


@routes.get(
    "/accounts/{account_id}/entitlements/{title_id}", response_class=Response, responses=replies(ENTITLED, *REFUSED)
)
async def read_entitlement(  # noqa: PLR0913, PLR0917 - each is a part of the question
    request: Request,
    auditing: Asks,
    settings: ReadSettings,
    account_id: AccountId,
    title_id: TitleId,
    then: Then,
    territory: Territory = None,
    profile: Annotated[
        Annotated[str, Field(min_length=1, max_length=ID_MAX_CHARS, pattern=ID_PATTERN)] | None,
        Query(description="Whose maturity limit counts", examples=["viewer-1"]),
    ] = None,
) -> Response:
    """Whether an account might watch a title, and why: decided by what admits a start."""
    at, up_to = then
    question = Question(
        account_id=account_id,
        at=at,
        title_id=title_id,
        territory=territory or settings.default_territory,
        profile_id=profile,
    )
    return await _answered(request, auditing, lambda sources: answering.entitled(sources, question, up_to))


@routes.get("/titles/{title_id}", response_class=Response, responses=replies(TITLE, *REFUSED))
async def read_title(
    request: Request,
    auditing: Asks,
    settings: ReadSettings,
    title_id: TitleId,
    then: Then,
    territory: Territory = None,
) -> Response:
    """What the catalog said of a title, and whether it could be played somewhere."""
    (at, up_to), where = then, territory or settings.default_territory
    return await _answered(
        request, auditing, lambda sources: answering.title(sources, title_id, up_to, at=at, territory=where)
    )


@routes.get("/views/{view}", response_class=Response, responses=replies(ROWS, *REFUSED))
async def read_rows(  # noqa: PLR0913, PLR0917 - each is a part of the question
    request: Request,
    auditing: Asks,
    settings: ReadSettings,
    view: Annotated[str, _id("A view", "playback_sessions")],
    up_to: UpTo,
    key: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=500, pattern=ID_PATTERN)]] | None,
        Query(
            max_length=10,
            description="Parts of the rows' key, as name=value; repeatable",
            examples=[["session_id=01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d"]],
        ),
    ] = None,
    without: Without = None,
) -> Response:
    """Rows of any view with a key, folded of the history up to a cut."""
    found = answering.view_of(settings, view)
    parts = parsed(found, key or ())
    left_out = frozenset(without or ())
    return await _answered(request, auditing, lambda sources: answering.rows(sources, found, parts, up_to), left_out)


async def _answered(
    request: Request, auditing: Asks, answer: Answer, without: frozenset[Source] = frozenset()
) -> Response:
    async def asked() -> msgspec.Struct:
        async with auditing.turn(without) as sources:
            return await answer(sources)

    found = await while_here(request, asked())
    said = masked(msgspec.json.decode(msgspec.json.encode(found, enc_hook=str)))
    return Response(msgspec.json.encode(said), media_type="application/json")
