"""Removes rows of aggregates in Postgres that are not kept any more: minutes after weeks, hours after years.

Nobody can report so late as to change them (settings refuse to keep them for less). What still comes of such a time,
as a dead letter that is tried again, leaves parts of rows there, which no reply shows and the next round removes. A
rebuild makes all of them anew; it is compared with the live rows as far as those are kept (versions/verify.py).
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from infra.clock import Clock, utc_now
from infra.postgres import Connection, Role, connect
from infra.settings import Settings
from infra.telemetry import log
from projections.metrics import SWEPT
from projections.views import AggregateView, View

AWAY: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Sweeper:
    """Several of them, one a worker, do no harm: each takes rows that no other has, and waits for nobody."""

    def __init__(self, views: Sequence[View[Any]], settings: Settings, clock: Clock = utc_now) -> None:
        self._views = [view for view in views if isinstance(view, AggregateView) and view.kept_for is not None]
        self._settings = settings
        self._clock = clock

    async def run(self) -> None:
        """Round after round, until canceled. Postgres away is waited out."""
        while self._views:
            try:
                removed = await self.sweep_once()
            except AWAY as error:
                log.warning("old rows are left for later", reason=repr(error))
            else:
                log.info("old rows removed", **removed)
            await asyncio.sleep(self._settings.sweep_interval_s)

    async def sweep_once(self) -> dict[str, int]:
        """Remove what there is, a bounded number of rows in each transaction. How many, by view."""
        connection = await connect(self._settings)
        try:
            await connection.execute(f"set role {Role.PROJECTIONS}")
            return {view.name: await self._sweep(connection, view) for view in self._views}
        finally:
            await connection.close()

    async def _sweep(self, connection: Connection, view: AggregateView[Any, Any]) -> int:
        sql, most = removing(view), self._settings.sweep_batch_rows
        before, removed = kept_since(view, self._clock()), 0
        while True:
            gone = len(await connection.fetch(sql, before, most, timeout=self._settings.query_timeout_s))
            removed += gone
            SWEPT.labels(view.name).inc(gone)
            if gone < most:
                return removed
            await asyncio.sleep(self._settings.sweep_pause_s)


def kept_since(view: AggregateView[Any, Any], now: datetime) -> datetime:
    """The beginning of what is kept of a view."""
    assert view.kept_for is not None
    return now - view.kept_for


def removing(view: AggregateView[Any, Any]) -> str:
    """The statement that removes at most $2 rows of before $1: the oldest, but for those that somebody writes to."""
    key = view.row.__struct_fields__[0]
    return f"""
        delete from {view.name} where "{key}" in (
            select "{key}" from {view.name} where {view.passing} < $1 order by {view.passing} limit $2
            for update skip locked
        ) returning 1
    """
