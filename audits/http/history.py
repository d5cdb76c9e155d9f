"""GET /v1/audit/history: what happened, in one order, from archive, Kafka and log; and what followed from what."""

import hashlib
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from audits.history.asked import Asked
from audits.history.cursors import MAX_CHARS
from audits.history.events import HistoryEvent
from audits.history.following import of_correlation, of_event
from audits.history.reading import begun
from audits.history.trees import trees
from audits.history.writing import document_of
from audits.http.asking import AUDITOR, EVERY_QUESTION, Asks, AuditsBusy, Without, while_here
from audits.http.problems import NOT_IN_HISTORY, QUESTION_INVALID
from audits.sources import SourceAway
from infra.cursors import CURSOR_INVALID
from infra.http.openapi import replies
from infra.moments import Moment
from query_api.dependencies import ID_MAX_CHARS, ID_PATTERN, AskedPage, ReadSettings, default_limit, given_limit
from query_api.staff_actions import masked
from query_api.stores import StoreUnavailable
from query_api.tables import asking
from query_api.tables.table import Projected, Table

EVENT: Final[dict[str, Any]] = {
    "place": "subscription.events:3:17",
    "read_from": "archive",
    "topic": "subscription.events",
    "partition": 3,
    "offset": 16,
    "position": 17,
    "history_time": "2026-02-28T09:30:00.041000Z",
    "id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d",
    "type": "subscription.PaymentFailed.v1",
    "stream": "subscription.account-household-1",
    "time": "2026-02-28T09:30:00Z",
    "recorded_time": "2026-02-28T09:30:00.041000Z",
    "sequence": 6,
    "correlation_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c42",
    "causation_id": None,
    "actor": "billing",
    "account_id": "household-1",
    "profile_id": None,
    "session_id": None,
    "title_id": None,
    "undecodable": False,
    "replayed": False,
    "client_address": None,
    "change": None,
    "data": {"account_id": "household-1", "invoice_id": "account-household-1.2", "attempt": 1, "code": "card_declined"},
    "sha256": "3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea",
}
PAGE: Final = {"items": [EVENT], "next_cursor": None, "lacks": []}
TREE: Final = {
    "correlation_id": EVENT["correlation_id"],
    "items": [{"depth": 0, "note": None, "event": EVENT}],
    "lacks": [],
}


class HistoryItem(BaseModel):
    """An event. `place`: a position token; `read_from`: where its bytes were read; `history_time`: when Playhead took
    it, as history is ordered; `actor`: who did it. What cannot be decoded has no id, and no data.
    """

    place: str
    read_from: str
    topic: str
    partition: int
    offset: int | None = Field(description="Kafka's; null for what only the log holds yet")
    position: int | None = Field(description="the log's; null where events come by Kafka alone")
    history_time: datetime
    id: str | None
    type: str | None
    stream: str | None
    time: datetime | None
    recorded_time: datetime | None
    sequence: int | None
    correlation_id: str | None
    causation_id: str | None
    actor: str | None
    account_id: str | None
    profile_id: str | None
    session_id: str | None
    title_id: str | None
    undecodable: bool
    replayed: bool = Field(description="marked as a replay: no new fact, whatever topic it is in")
    client_address: str | None = Field(description="of staff: where from")
    change: Any = Field(description="of staff: what it changed, before and after")
    data: dict[str, Any] | None = Field(
        description='as its schema in /schemas says; what is personal shows as "sealed"'
    )
    sha256: str = Field(description="of the event's bytes, which are the same in the log, on Kafka and in the archive")


class HistoryPage(BaseModel):
    """Events, the oldest first; `next_cursor` is null at the end. `lacks`: what the answer cannot have, and why."""

    items: list[HistoryItem]
    next_cursor: str | None
    lacks: list[str]


class HistoryBranch(BaseModel):
    """An event in its tree: below its cause, `depth` causes from a first one. `note`: what is odd about it."""

    depth: int
    note: str | None
    event: HistoryItem


class HistoryTree(BaseModel):
    """What a request led to, and what it began by: events right after their causes."""

    correlation_id: str | None
    items: list[HistoryBranch]
    lacks: list[str]


def _names(description: str, example: str) -> Any:
    return Query(description=f"{description}; repeatable", examples=[[example]], max_length=100)


Name = Annotated[str, Field(min_length=1, max_length=ID_MAX_CHARS, pattern=ID_PATTERN)]
Names = list[Name] | None


async def question(  # noqa: PLR0913, PLR0917 - each is a filter
    stream: Annotated[Names, _names("A stream, or of playback a session", "catalog.title-heat")] = None,
    account: Annotated[Names, _names("An account: its streams, and all that names it", "household-1")] = None,
    profile: Annotated[Names, _names("A profile", "viewer-1")] = None,
    session: Annotated[Names, _names("A playback session", "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d")] = None,
    title: Annotated[Names, _names("A title: its own events, and those of who played it", "heat")] = None,
    actor: Annotated[Names, _names("Who did it", "operator-1")] = None,
    type: Annotated[  # noqa: A002 - the parameter's name for clients
        Names, _names("A type, of any version without one, * for anything", "subscription.Payment*")
    ] = None,
    topic: Annotated[Names, _names("A topic", "subscription.events")] = None,
    event: Annotated[Names, _names("An event's id", "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d")] = None,
    correlation: Annotated[
        Name | None, Query(description="All of one request", examples=["01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c42"])
    ] = None,
    from_time: Annotated[
        Moment | None, Query(alias="from", description="Taken then or later", examples=["2026-02-01T00:00:00+09:00"])
    ] = None,
    to_time: Annotated[
        Moment | None, Query(alias="to", description="Taken before", examples=["2026-03-01T00:00:00+09:00"])
    ] = None,
) -> Asked:
    """What a request asks for. What cannot be asked is refused when it is read: BadQuestion."""
    several = (stream, account, profile, session, title, actor, type, topic, event)
    streams, accounts, profiles, sessions, titles, actors, types, topics, ids = (tuple(each or ()) for each in several)
    return Asked(
        streams=streams,
        accounts=accounts,
        profiles=profiles,
        sessions=sessions,
        titles=titles,
        actors=actors,
        types=types,
        topics=topics,
        event_ids=ids,
        correlation_id=correlation,
        since=from_time,
        until=to_time,
    )


async def asked_page(
    settings: ReadSettings,
    limit: Annotated[int | None, Depends(given_limit)],
    cursor: Annotated[
        str | None,
        Query(
            max_length=MAX_CHARS,
            description="next_cursor of the page before, with the same question; left out for the first page",
            examples=["eNpjYGBgYmBg4GZgYGBkYGBgBgABPwBH"],
        ),
    ] = None,
) -> AskedPage:
    """The page that a request wants. A cursor of history says how far each partition reached, so it is longer."""
    return AskedPage(default_limit(settings) if limit is None else limit, cursor, is_limited=limit is not None)


TABLE: Final = Table(HistoryItem, name="history")
Shaped = Annotated[asking.Asked, Depends(asking.asked(TABLE))]
Page = Annotated[AskedPage, Depends(asked_page)]

routes = APIRouter(prefix="/v1/audit/history", tags=["history"], dependencies=[AUDITOR])


@routes.get(
    "",
    response_model=HistoryPage | Projected,
    responses=TABLE.replies(PAGE, *EVERY_QUESTION, QUESTION_INVALID, CURSOR_INVALID),
)
async def read_history(
    request: Request,
    auditing: Asks,
    asked: Annotated[Asked, Depends(question)],
    shaped: Shaped,
    page: Page,
    without: Without = None,
) -> Response:
    """What happened, the oldest first: as `playhead audit history` shows it. CSV and JSON Lines without a `limit` are
    all that follows, page by page.
    """
    left_out = frozenset(without or ())

    async def read_one(page: AskedPage) -> HistoryPage:
        async with auditing.turn(left_out) as sources, begun(sources, asked, after=page.cursor) as reading:
            events = [event async for event in reading.events(page.limit + 1)]
            shown, more = events[: page.limit], len(events) > page.limit
            cursor = reading.cursor(shown[-1]) if more else None
            return HistoryPage(items=[item_of(event) for event in shown], next_cursor=cursor, lacks=reading.lacks)

    is_begun = False

    async def read(page: AskedPage) -> HistoryPage:
        nonlocal is_begun
        if not is_begun:
            is_begun = True
            return await while_here(request, read_one(page))
        try:
            return await read_one(page)
        except (SourceAway, AuditsBusy) as refused:  # the reply is begun: it is cut off, and says so
            raise StoreUnavailable(str(refused)) from refused

    pages = asking.AskedPages(shaped.table, shaped.request, shaped.settings, shaped.shape, page)
    return await pages.read(read)


@routes.get(
    "/tree",
    response_model=HistoryTree,
    responses=replies(TREE, *EVERY_QUESTION, QUESTION_INVALID, NOT_IN_HISTORY),
)
async def read_tree(
    request: Request,
    auditing: Asks,
    event: Annotated[
        Name | None, Query(description="An event's id: what it follows from, and what followed", examples=[EVENT["id"]])
    ] = None,
    correlation: Annotated[
        Name | None, Query(description="All of one request", examples=[EVENT["correlation_id"]])
    ] = None,
    without: Without = None,
) -> HistoryTree:
    """What followed from what: of an event, or of a correlation; one of both is to be said."""

    async def read() -> HistoryTree:
        async with auditing.turn(frozenset(without or ())) as sources:
            if event is not None:
                gathered = await of_event(sources, event)
            else:
                gathered = await of_correlation(sources, correlation or "")
        branches = trees(gathered.events, about=gathered.about)
        items = [HistoryBranch(depth=each.depth, note=each.note, event=item_of(each.event)) for each in branches]
        return HistoryTree(correlation_id=gathered.about, items=items, lacks=gathered.lacks)

    return await while_here(request, read())


def item_of(event: HistoryEvent) -> HistoryItem:
    """An event as it is shown: what is sealed in it stays so."""
    told: dict[str, Any] = dict.fromkeys(HistoryItem.model_fields) | document_of(event)
    envelope = _envelope_of(event)
    change = envelope.get("change")
    return HistoryItem.model_validate(
        told
        | {
            "undecodable": event.is_undecodable,
            "replayed": event.is_replayed,
            "client_address": envelope.get("clientaddress"),
            "change": masked(msgspec.json.decode(change)) if isinstance(change, str) else None,
            "data": masked(envelope.get("data")) if isinstance(envelope.get("data"), dict) else None,
            "sha256": hashlib.sha256(event.value).hexdigest(),
        }
    )


def _envelope_of(event: HistoryEvent) -> dict[str, Any]:
    if event.is_undecodable:
        return {}
    try:
        envelope = msgspec.json.decode(event.value)
    except msgspec.DecodeError:
        return {}
    return envelope if isinstance(envelope, dict) else {}
