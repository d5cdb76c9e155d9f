"""Where auditors read: archive, Kafka in no group, and the log in the role that reads alone; each opened when it is
needed first. What does not answer is named, and may be left out by who asks.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any, Final, TypeVar

import asyncpg
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from events.refusals import Refusal
from infra.archive.errors import ArchiveAway
from infra.archive.store import Archive
from infra.kafka import CLIENT_ID, access
from infra.postgres import Pool, Role, connect_pool
from infra.settings import Settings

T = TypeVar("T")


class Source(StrEnum):
    """Where history is read."""

    ARCHIVE = "archive"
    KAFKA = "kafka"
    LOG = "log"


class SourceAway(Refusal):
    """One of the sources does not answer, so history would have a hole that nobody sees. `source`: which."""

    source: Source

    @classmethod
    def of(cls, source: Source, error: BaseException | str) -> "SourceAway":
        """What is said of it."""
        said = error if isinstance(error, str) else f"{type(error).__name__}: {error}".rstrip(": ")
        away = cls(
            f"the {source} does not answer ({said}); leave it out (without {source}) to see what the others have"
        )
        away.source = source
        return away


LOG_AWAY: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
KAFKA_AWAY: Final = (OSError, TimeoutError, KafkaError)


class Sources:
    """The three sources. `left_out`: those that the asker does without."""

    def __init__(self, settings: Settings, left_out: frozenset[Source]) -> None:
        self.settings = settings
        self.left_out = left_out
        self._threads = ThreadPoolExecutor(settings.audits_read_threads, thread_name_prefix="audits")
        self._archive: Archive | None = None
        self._pool: Pool | None = None
        self._opening = asyncio.Lock()

    async def archive(self) -> Archive | None:
        """The archive; None when it is left out."""
        if Source.ARCHIVE in self.left_out:
            return None
        if self._archive is None:
            self._archive = await self.run(Archive.open, self.settings)
        return self._archive

    async def log(self) -> "Pool | None":
        """A pool for reading the event log and the views; None when the log is left out. Raises SourceAway."""
        if Source.LOG in self.left_out:
            return None
        async with self._opening:
            if self._pool is None:
                self._pool = await self._connected()
        return self._pool

    async def _connected(self) -> "Pool":
        pool = await connect_pool(self.settings, role=Role.AUDITS)
        try:
            async with asyncio.timeout(self.settings.audits_source_timeout_s):
                await pool.fetchval("select 1")
        except BaseException as error:
            pool.terminate()
            if isinstance(error, LOG_AWAY):
                raise SourceAway.of(Source.LOG, error) from error
            raise
        return pool

    @asynccontextmanager
    async def consumer(self, **options: Any) -> AsyncIterator[AIOKafkaConsumer | None]:
        """A consumer of its own, in no group, without an assignment; None when Kafka is left out. Raises SourceAway."""
        if Source.KAFKA in self.left_out:
            yield None
            return
        consumer = AIOKafkaConsumer(
            **access(self.settings),
            client_id=f"{CLIENT_ID}-audits",
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=50,
            **options,
        )
        try:
            try:
                async with asyncio.timeout(self.settings.audits_source_timeout_s):
                    await consumer.start()
            except KAFKA_AWAY as error:
                raise SourceAway.of(Source.KAFKA, error) from error
            yield consumer
        finally:
            await consumer.stop()

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Do what blocks in one of a bounded number of threads. Raises SourceAway where the archive does not answer."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        except ArchiveAway as error:
            raise SourceAway.of(Source.ARCHIVE, error) from error

    async def close(self) -> None:
        """Let go of what was opened."""
        if self._pool is not None:
            await self._pool.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


@asynccontextmanager
async def opened(settings: Settings, *, without: Iterable[Source] = ()) -> AsyncIterator[Sources]:
    """The sources of an installation, but those that are to be left out."""
    sources = Sources(settings, frozenset(without))
    try:
        yield sources
    finally:
        await sources.close()
