"""Everything that is held about a person, as JSON Lines: the rows of views that are their account's, and every event of
the history about it, with what is personal opened. Read by pages and slabs, so that no export is held in memory.

The lines, by `kind`: `person` once; `row`, of the view that is named (sessions and screen time of profiles that were
deleted as well, and what staff did to the account); `event`, in the order of history, with where it is; `unread`, a
record about the account that is no event, in base64; and `end` with the counts, without which an export was cut off.
"""

from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import msgspec

from audits.history.asked import Asked
from audits.history.events import HistoryEvent
from audits.history.reading import begun
from audits.personal import Personal
from audits.sources import Sources
from infra.clock import utc_now
from infra.postgres import Pool
from projections.app import postgres_views

VIEWS: Final = """
    select table_name from information_schema.columns
    where table_schema = 'public' and column_name = 'account_id' and table_name = any($1)
      and has_table_privilege(current_user, format('%I', table_name), 'select')
    order by table_name
"""
OF_ACCOUNT: Final = "select to_jsonb(t)::text as row from {view} as t where account_id = $1"
STAFF_ACTIONS: Final = """
    select to_jsonb(t)::text as row from operations_staff_actions as t where stream_id = any($1) order by at, event_id
"""
KEY: Final = "select destroyed_at from person_key where person_id = $1"
_encode: Final = msgspec.json.Encoder().encode


class Exporting:
    """One export. `counts`: how many lines of a kind there are, and `rows` of each view. `lacks`: what the history did
    not have, line by line.
    """

    def __init__(self, sources: Sources, account_id: str, personal: Personal) -> None:
        self.counts: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()
        self.lacks: list[str] = []
        self._sources = sources
        self._account_id = account_id
        self._personal = personal

    async def lines(self) -> AsyncIterator[bytes]:
        """The export, some lines at a time. Raises SourceAway, ArchiveDamaged."""
        pool = await self._sources.log()
        if pool is not None:
            yield self._line("person", await self._person(pool))
            async for rows in self._of_views(pool):
                yield rows
        async for events in self._of_history():
            yield events
        counts = {kind: self.counts[kind] for kind in ("row", "event", "unread")}
        yield self._line("end", {**counts, "rows": dict(self.rows), "lacks": self.lacks})

    async def _person(self, pool: Pool) -> dict[str, object]:
        row: Any = await pool.fetchrow(KEY, self._account_id)
        erased_at = row["destroyed_at"] if row else None
        return {"account_id": self._account_id, "exported_at": utc_now(), "erased_at": erased_at}

    async def _of_views(self, pool: Pool) -> AsyncIterator[bytes]:
        names = {view.name for view in postgres_views(self._sources.settings)}
        for view in [row["table_name"] for row in await pool.fetch(VIEWS, sorted(names))]:
            async for lines in self._of_view(pool, view, OF_ACCOUNT.format(view=view), self._account_id):
                yield lines
        streams = [f"{context}.account-{self._account_id}" for context in ("identity", "subscription")]
        async for lines in self._of_view(pool, "operations_staff_actions", STAFF_ACTIONS, streams):
            yield lines

    async def _of_view(self, pool: Pool, view: str, statement: str, of: object) -> AsyncIterator[bytes]:
        most = self._sources.settings.export_page_rows
        async with pool.acquire() as connection, connection.transaction(readonly=True):
            cursor = await connection.cursor(statement, of)
            while page := await cursor.fetch(most):
                self.rows[view] += len(page)
                rows = [msgspec.json.decode(row["row"]) for row in page]
                opened = await self._personal.open_rows(self._account_id, rows)
                yield b"".join(self._line("row", {"view": view, "row": row}) for row in opened)

    async def _of_history(self) -> AsyncIterator[bytes]:
        async with begun(self._sources, Asked(accounts=(self._account_id,))) as reading:
            self.lacks = list(reading.lacks)
            async with aclosing(reading.slabs()) as slabs:
                async for slab in slabs:
                    opened = await self._personal.open([event.value for event in slab])
                    pairs = zip(slab, opened, strict=True)
                    yield b"".join(self._event(event, each.body) for event, each in pairs)

    def _event(self, event: HistoryEvent, body: bytes) -> bytes:
        told = {"place": event.place, "source": event.source, "history_time": event.history_time}
        if event.is_undecodable:
            return self._line("unread", {**told, "value": b64encode(event.value).decode()})
        return self._line("event", {**told, "event": msgspec.Raw(body)})

    def _line(self, kind: str, told: dict[str, object]) -> bytes:
        self.counts[kind] += 1
        return _encode({"kind": kind, **told}) + b"\n"
