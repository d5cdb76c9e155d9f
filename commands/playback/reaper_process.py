"""The reaper as a process: `playhead reaper`. Probes beside it; SIGTERM finishes what is in hand."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import asyncpg
import uvloop
from aiokafka.errors import KafkaError, RequestTimedOutError

from commands.playback.leases import Leases
from commands.playback.open_sessions import Patience, PostgresOpenSessions
from commands.playback.reaper import Reaper
from events.topics import PLAYBACK
from infra import redis
from infra.clock import Clock, utc_now
from infra.postgres import Pool, Role, connect_pool
from infra.publisher import Publisher, Unpublished
from infra.settings import Settings
from infra.telemetry import configure_logs, log
from infra.view_lag import CHECKPOINTS, Ends
from infra.working import working

AWAY: Final = (
    OSError,
    TimeoutError,
    KafkaError,
    Unpublished,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)


class PlaybackLog:
    """The topic and its checkpoints. It connects when it is first asked, so that the process starts while Kafka is
    away.
    """

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._settings = settings
        self._opened = AsyncExitStack()
        self._ends: Ends | None = None

    async def ends(self) -> Mapping[int, int]:
        """See Log."""
        try:
            async with asyncio.timeout(2 * self._settings.produce_timeout_s):
                if self._ends is None:
                    self._ends = await self._opened.enter_async_context(Ends(self._settings))
                found = await self._ends.of(PLAYBACK.name)
        except TimeoutError as error:
            raise RequestTimedOutError("Kafka does not say where its partitions end") from error
        if not found:
            raise KafkaError(f"{PLAYBACK.name} has no partitions: playhead migrate")
        return found

    async def applied(self) -> Mapping[int, int]:
        """See Log."""
        return {row["partition"]: row["next_offset"] for row in await self._pool.fetch(CHECKPOINTS, PLAYBACK.name)}

    async def close(self) -> None:
        """Close what was opened."""
        await self._opened.aclose()


@asynccontextmanager
async def opened_reaper(settings: Settings, clock: Clock = utc_now) -> AsyncIterator[Reaper]:
    """A reaper of an installation, with its clients."""
    async with AsyncExitStack() as opened:
        pool = await connect_pool(settings, role=Role.REAPER)
        opened.push_async_callback(pool.close)
        client = redis.connect(settings, is_timed=False)
        opened.push_async_callback(client.aclose)
        publisher = Publisher(settings)
        await publisher.start()
        opened.push_async_callback(publisher.stop)
        playback = PlaybackLog(pool, settings)
        opened.push_async_callback(playback.close)
        patience = Patience.of(settings)
        yield Reaper(
            sessions=PostgresOpenSessions(pool, patience),
            log=playback,
            publisher=publisher,
            leases=Leases(client, settings),
            clock=clock,
            patience=patience,
            batch=settings.reaper_batch_rows,
            remembered_max=settings.reaper_remembered_max,
        )


class Rounds:
    """Has a reaper work round after round. `trouble`: why the last one failed, or None."""

    def __init__(self, reaper: Reaper, settings: Settings) -> None:
        self._reaper = reaper
        self._settings = settings
        self._stopped = asyncio.Event()
        self.trouble: str | None = "not started"

    def stop(self) -> None:
        """Finish what is in hand, and end."""
        self._reaper.stopping = True
        self._stopped.set()

    async def run(self) -> None:
        """Until stop(). Kafka or Postgres away is waited out, with pauses up to store_retry_max_s."""
        pause_s = self._settings.reaper_poll_interval_s
        while not self._stopped.is_set():
            try:
                expired = await self._reaper.run_once()
            except AWAY as error:
                self.trouble = repr(error)
                pause_s = min(2 * pause_s, max(self._settings.store_retry_max_s, self._settings.reaper_poll_interval_s))
                log.warning("reaper_waits", reason=self.trouble)
            else:
                self.trouble, pause_s = None, self._settings.reaper_poll_interval_s
                if expired:
                    log.info("sessions_expired", count=expired)
            await self._pause(pause_s)

    async def missing(self) -> dict[str, str]:
        """What readiness shows."""
        return {"reaper": self.trouble} if self.trouble else {}

    async def _pause(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._stopped.wait()
        except TimeoutError:
            return


def run(settings: Settings) -> None:
    """Expire sessions until SIGTERM or SIGINT."""
    configure_logs(settings)
    uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    async with AsyncExitStack() as opened:
        rounds = Rounds(await opened.enter_async_context(opened_reaper(settings)), settings)
        await opened.enter_async_context(working(settings, "reaper", ready=rounds.missing, stop=rounds.stop))
        await rounds.run()
