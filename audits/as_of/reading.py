"""Reads the events that an answer needs: streams from the log, which decides and has them by name; what concerns a row
of a view from the whole history.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

import asyncpg
import msgspec

from audits.as_of.cuts import Cut, Fact
from audits.history.asked import Asked
from audits.history.events import HistoryEvent
from audits.sources import Source, SourceAway
from events.registry import REGISTRY, type_of
from events.subscription import PurchaseStarted
from events.topics import topic_of
from infra.positions import Position
from infra.postgres import Pool
from projections.views import View

MICROSECOND: Final = timedelta(microseconds=1)
EVENTS: Final = "select partition, position, recorded_at, body from event_log"
OF_STREAM: Final = f"{EVENTS} where stream_id = $1 order by version"
OF_PURCHASES: Final = f"""
    {EVENTS} where stream_id in (
        select stream_id from event_log
        where type = any($2::text[]) and position(convert_to('"' || $1 || '"', 'UTF8') in body) > 0
    ) order by stream_id, version
"""
"""Every purchase begins with the account that it is of. No index leads there: the log is gone through."""
SERIES_OF: Final = "select series_id from catalog_titles where title_id = $1"
STREAM_OF_TITLE: Final = """
    select stream_id from event_log
    where type like 'catalog.%' and position(convert_to('"title_id":"' || $1 || '"', 'UTF8') in body) > 0 limit 1
"""
NARROWED: Final = {
    "account_id": "accounts",
    "profile_id": "profiles",
    "session_id": "sessions",
    "title_id": "titles",
}
"""By the part of a key: what of the history names it in its events."""
NOT_NAMED: Final = frozenset({("catalog_titles", "title_id")})
"""Not in all of them: a season is of the title that its series is."""


class Streams:
    """The streams of the log. Its methods raise SourceAway."""

    def __init__(self, pool: Pool, timeout_s: float) -> None:
        self._pool = pool
        self._timeout_s = timeout_s

    async def of(self, stream: str) -> list[Fact]:
        """The events of a stream, in order."""
        return in_streams(await self._rows(OF_STREAM, stream))

    async def of_title(self, title_id: str) -> list[Fact]:
        """The events of the stream that decides a title: its own, or its series'; none where nothing was said of it."""
        if own := await self.of(f"catalog.title-{title_id}"):
            return own
        for row in await self._rows(SERIES_OF, title_id):
            of_series = await self.of(f"catalog.title-{row['series_id']}")
            if any(getattr(fact.recorded.data, "title_id", None) == title_id for fact in of_series):
                return of_series
        found = await self._rows(STREAM_OF_TITLE, title_id)
        return await self.of(found[0]["stream_id"]) if found else []

    async def of_purchases(self, account_id: str) -> list[Fact]:
        """The events of all purchases of an account, purchase by purchase."""
        started, _, _ = type_of(PurchaseStarted).rpartition(".")
        types = [name for name in REGISTRY.classes if name.rpartition(".")[0] == started]
        return in_streams(await self._rows(OF_PURCHASES, account_id, types))

    async def _rows(self, sql: str, *values: object) -> list[asyncpg.Record]:
        try:
            return await self._pool.fetch(sql, *values, timeout=self._timeout_s)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise SourceAway.of(Source.LOG, error) from error


def in_streams(rows: Iterable[asyncpg.Record]) -> list[Fact]:
    """Rows of the log as facts. Within a stream history_time never runs backwards."""
    facts: list[Fact] = []
    for row in rows:
        recorded = REGISTRY.decode(row["body"])
        topic = topic_of(recorded.envelope.type).name
        taken_at = row["recorded_at"]
        if facts and facts[-1].recorded.envelope.subject == recorded.envelope.subject:
            taken_at = max(taken_at, facts[-1].history_time)
        facts.append(Fact(Position(topic, row["partition"], row["position"]), -1, taken_at, recorded))
    return facts


def asked_of(view: View[Any], key: Mapping[str, str], cut: Cut) -> Asked:
    """What of the history can concern the rows of a view with such a key, and perhaps more."""
    named = {
        NARROWED[part]: (value,)
        for part, value in key.items()
        if part in NARROWED and (view.name, part) not in NOT_NAMED
    }
    asked = Asked(
        topics=tuple(topic.name for topic in view.topics),
        types=tuple(sorted({type_of(event).rpartition(".")[0] for event in view.events})),
        until=None if cut.known_at is None else cut.known_at + MICROSECOND,
    )
    return msgspec.structs.replace(asked, **named)


def fact_of(event: HistoryEvent) -> Fact | None:
    """An event of the history, decoded; None: it cannot be, or no relay wrote it: projections set it aside."""
    place = event.position if event.position is not None else event.offset
    if place is None or "@" in event.place:
        return None
    try:
        recorded = event.decoded()
    except (ValueError, msgspec.MsgspecError):
        return None
    offset = event.offset if event.offset is not None else -1
    return Fact(Position(event.topic, event.partition, place), offset, event.history_time, recorded)
