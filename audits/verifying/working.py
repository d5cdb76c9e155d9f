"""Does the tasks of a verification, in this process or in several: hashing is CPU's work, so that a process a core."""

import asyncio
import multiprocessing
import queue
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from multiprocessing.queues import Queue
from typing import Final, TypeAlias

import asyncpg
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from audits.verifying import checkpoints, of_log
from audits.verifying.checkpoints import Checkpoint
from audits.verifying.findings import Finding, Store
from audits.verifying.keys import SigningKeys
from audits.verifying.of_archive import ArchiveCheck
from audits.verifying.of_kafka import KafkaCheck, Sides
from audits.verifying.of_log import LogCheck
from audits.verifying.tasks import State, Task, Update
from infra.archive.errors import ArchiveAway
from infra.archive.store import Archive
from infra.kafka import CLIENT_ID, access
from infra.postgres import Role, connect_pool
from infra.settings import Settings

AWAY: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, KafkaError, ArchiveAway, OSError)  # a TimeoutError is one
POLL_S: Final = 0.2
Part: TypeAlias = tuple[Task, State | None]
Tell: TypeAlias = Callable[[Update], None]
Check: TypeAlias = Callable[[str, State | None], AsyncIterator[Update]]


class Checks:
    """Everything that tasks are checked with, open. `good`: the checkpoints whose signatures hold."""

    def __init__(self, sides: Sides, consumer: AIOKafkaConsumer) -> None:
        self._sides = sides
        self._consumer = consumer
        self._is_started = False
        self._keys = SigningKeys(sides.settings)
        self._good: list[Checkpoint] | None = None

    async def run(self, task: Task, state: State | None) -> AsyncIterator[Update]:
        """What comes of a task. Raises what AWAY names."""
        run = await self._check_of(task)
        if run is not None:
            async for update in run(task.name, state):
                yield update
            return
        done, found = 0, list[Finding]()
        if task.store is Store.LOG:
            found = await of_log.repeated(self._sides.pool, self._sides.settings)
        else:
            good, found = self._examine()
            done = len(good)
        yield Update(task=task.name, done=done, findings=found, ended=True)

    async def _check_of(self, task: Task) -> Check | None:
        """The check of a partition; None of what is of all of them."""
        if task.partition is None:
            return None
        if task.topic is None:
            return LogCheck(self._sides.pool, self._sides.settings, task.partition, self._signed()).run
        if task.store is Store.KAFKA:
            await self._start()
            return KafkaCheck(self._sides, self._consumer, task.topic, task.partition).run
        return ArchiveCheck(self._sides, task.topic, task.partition, self._signed()).run

    def _examine(self) -> tuple[list[Checkpoint], list[Finding]]:
        return checkpoints.examine(self._sides.archive.files_of_store, self._keys.trusted(), self._keys.newest())

    def _signed(self) -> list[Checkpoint]:
        if self._good is None:
            self._good, _ = self._examine()
        return self._good

    async def _start(self) -> None:
        if not self._is_started:
            await self._consumer.start()
            self._is_started = True


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Checks]:
    """The checks, on servers that are connected to when they are needed."""
    patient = settings.model_copy(update={"query_timeout_s": settings.verify_timeout_s})
    pool = await connect_pool(patient, role=Role.AUDITS, size=2)
    consumer = AIOKafkaConsumer(
        **access(settings),
        client_id=f"{CLIENT_ID}-verify",
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=10,  # partitions are read one after the other: each waits for the fetch before
    )
    try:
        yield Checks(Sides(pool, Archive.open(settings), settings), consumer)
    finally:
        await consumer.stop()
        await pool.close()


async def work(settings: Settings, parts: Iterator[Part], tell: Tell) -> None:
    """Do tasks one after the other, and tell what comes of each. One that cannot be checked does not end the others."""
    async with opened(settings) as checks:
        for task, state in parts:
            try:
                async for update in checks.run(task, state):
                    tell(update)
            except AWAY as error:
                tell(Update(task=task.name, wrong=f"{type(error).__name__}: {error}"))


def share(settings: Settings, parts: Sequence[Part], jobs: int, tell: Tell) -> None:
    """The same by several processes, each of which takes the next task when it has done one. What a process that died
    had in hand is not ended, and so not checked.
    """
    spawn = multiprocessing.get_context("spawn")
    waiting: Queue[Part | None] = spawn.Queue()
    told: Queue[Update] = spawn.Queue()
    for part in [*parts, *[None] * jobs]:
        waiting.put(part)
    processes = [spawn.Process(target=_work, args=(settings, waiting, told), daemon=True) for _ in range(jobs)]
    for process in processes:
        process.start()
    try:
        while any(process.is_alive() for process in processes):
            _drain(told, tell, POLL_S)
        _drain(told, tell, 0)
    finally:
        for process in processes:
            process.terminate()


def _drain(told: "Queue[Update]", tell: Tell, wait_s: float) -> None:
    try:
        while True:
            tell(told.get(timeout=wait_s) if wait_s else told.get_nowait())
    except queue.Empty:
        return


def _work(settings: Settings, waiting: "Queue[Part | None]", told: "Queue[Update]") -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one

    def tell(update: Update) -> None:
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            sys.exit("the verification has ended")
        told.put(update)

    asyncio.run(work(settings, iter(waiting.get, None), tell))
