"""Publishes scheduled titles when their time has come: a process that may run twice, at once, or late with no effect.

The view catalog_schedule says where to look; the stream decides. What is refused (an episode whose series is not
published yet) stays due and is tried again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

import asyncpg
import uvloop
from prometheus_client import Counter

from commands.catalog.commands import PublishDueTitle
from commands.catalog.deciding import decide
from commands.handling import Handling, Terms
from events.envelope import Context
from events.refusals import Refusal
from events.types import SeriesId, TitleId
from infra.clock import Clock, utc_now
from infra.event_log import EventLog
from infra.ids import new_id
from infra.postgres import Pool, Role, connect_pool
from infra.settings import Settings
from infra.telemetry import configure_logs, log
from infra.working import working

PRINCIPAL: Final = "scheduler"
BATCH: Final = 200
EVERY_S: Final = 1.0
TRIED: Final = Counter("playhead_scheduler_titles_total", "Scheduled titles whose time had come", ["ending"])
AWAY: Final = (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, asyncpg.InterfaceError)

DUE: Final = """
    select publish_at, title_id, series_id from catalog_schedule
    where publish_at <= $1
      and ($2::timestamptz is null or (publish_at, series_id is not null, title_id) > ($2, $3, $4))
    order by publish_at, series_id is not null, title_id limit $5
"""


@dataclass(frozen=True)
class Due:
    """A title and its time."""

    publish_at: datetime
    title_id: TitleId
    series_id: SeriesId | None


class DueTitles(Protocol):
    """Where due titles are found."""

    async def due(self, now: datetime, *, after: Due | None, limit: int) -> Sequence[Due]:
        """The next titles whose time has come: the longest due first, and of one time an episode last."""
        ...


class Schedule:
    """The view catalog_schedule: it may be a moment old, and say what was published or put off meanwhile."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def due(self, now: datetime, *, after: Due | None, limit: int) -> Sequence[Due]:
        """See DueTitles."""
        place = (after.publish_at, after.series_id is not None, after.title_id) if after else (None, False, "")
        return [Due(*row) for row in await self._pool.fetch(DUE, now, *place, limit)]


@dataclass
class Scheduler:
    """One scheduling process."""

    handling: Handling
    titles: DueTitles
    clock: Clock
    batch: int = BATCH
    trouble: str = ""
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """Finish the title in hand and take no other."""
        self._stopping.set()

    async def run(self) -> None:
        """Publish what falls due until stop(); a Postgres that is away is waited for."""
        while not self._stopping.is_set():
            try:
                await self.run_once()
                self.trouble = ""
            except AWAY as error:
                self.trouble = repr(error)
                log.warning("scheduler_waits", reason=self.trouble)
            try:
                await asyncio.wait_for(self._stopping.wait(), EVERY_S)
            except TimeoutError:
                continue

    async def run_once(self) -> int:
        """Try all that is due now, once; how many were published."""
        now, after, published = self.clock(), None, 0
        while not self._stopping.is_set() and (due := await self.titles.due(now, after=after, limit=self.batch)):
            waits = [title for title in due if not await self._publish(title)]
            published += len(due) - len(waits)
            after = due[-1]
        return published

    async def _publish(self, due: Due) -> bool:
        """Publish a title; whether this is what published it."""
        command = PublishDueTitle(title_id=due.title_id, series_id=due.series_id, publish_at=due.publish_at)
        context = Context(correlation_id=f"schedule-{new_id()}", principal=PRINCIPAL)
        try:
            outcome = await decide(self.handling, command, Terms(context))
        except Refusal as refusal:
            TRIED.labels("refused").inc()
            log.warning("scheduled_title_waits", title_id=due.title_id, reason=repr(refusal))
            return False
        TRIED.labels("published" if outcome.recorded else "ignored").inc()
        return bool(outcome.recorded)


def run(settings: Settings) -> None:
    """Publish what falls due until SIGTERM or SIGINT."""
    configure_logs(settings)
    uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    pool = await connect_pool(settings, role=Role.BILLING)
    scheduler = Scheduler(Handling(EventLog(pool, settings), utc_now), Schedule(pool), utc_now)

    async def missing() -> dict[str, str]:
        return {"postgres": scheduler.trouble} if scheduler.trouble else {}

    try:
        async with working(settings, "scheduler", ready=missing, stop=scheduler.stop):
            await scheduler.run()
    finally:
        await pool.close()
