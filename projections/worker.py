"""The process of one store's projections: a Faust app whose one agent hands slabs to the projector, the probes, and
the way down on SIGTERM.
"""

import asyncio
import gc
import logging
from collections.abc import Callable, Sequence
from typing import Any

import faust
import uvloop
import yarl
from faust.app.base import App
from faust.auth import Credentials, SASLCredentials, SSLCredentials
from mode.supervisors import CrashingSupervisor

from events.topics import OPERATIONS
from infra.kafka import CLIENT_ID, access
from infra.settings import Settings
from infra.telemetry import ProbeServer, configure_logs, log
from projections import consumer
from projections.consumer import SlabSchema, SlabTransport
from projections.engine import Engine
from projections.letters import KafkaLetters
from projections.projector import Projector
from projections.pulse import Pulse
from projections.store import Store
from projections.sweeping import Sweeper
from projections.views import View

SESSION_TIMEOUT_S = 6.0  # the least that brokers allow: a killed worker's partitions are taken over after this
NEVER_S = 24 * 3600.0
STREAM_BUFFER_SLABS = 64
GC_THRESHOLDS = (50_000, 20, 20)  # a slab makes thousands of objects that all go with it: look for cycles less often


class Worker:
    """One store's projections in a process. Made on the event loop that runs it."""

    def __init__(self, store: Store[Any], views: Sequence[View[Any]], settings: Settings) -> None:
        self._settings = settings
        self._store = store
        self._letters = KafkaLetters(settings)
        self._app = new_app(f"{CLIENT_ID}-projections-{store.name}", settings)
        engine = Engine(store, views, self._letters, takes_replays=settings.replays_applied)
        self._projector = Projector(store, engine, self._app.consumer, settings)
        self._app.intake = self._projector
        self._pulse = Pulse(self._app.consumer.answers, settings.produce_silent_s)
        self._sweeper = Sweeper(views, settings)
        self._probes = ProbeServer(settings, self._missing)
        self._running: asyncio.Task[None] | None = None
        _declare(self._app, topics_of(views), self._projector)
        self._app.task(self._run)
        self._app.task(self._mirror)
        self._app.task(self._pulse.listen)
        self._app.task(self._sweeper.run)
        self._app.on_before_shutdown.connect(self._drain, weak=False)

    async def run(self) -> None:
        """Until a signal. Raises what ended it otherwise."""
        await self._probes.start()
        worker = faust.Worker(
            self._app,
            loop=asyncio.get_running_loop(),
            quiet=True,
            override_logging=False,
            redirect_stdouts=False,
        )
        worker.spinner = None
        try:
            await worker.start()
        finally:
            # A signal has begun to stop it already, on a task that nobody else awaits.
            await (worker._signal_stop_future or worker.stop())
            await self._close()
        if worker.crash_reason is not None:
            raise worker.crash_reason

    async def _missing(self) -> dict[str, str]:
        return {**self._projector.missing(), **self._pulse.missing()}

    async def _run(self) -> None:
        self._running = asyncio.current_task()
        await self._projector.run()

    async def _mirror(self) -> None:
        while True:
            await asyncio.sleep(self._settings.offsets_mirror_interval_s)
            await self._projector.mirror()

    async def _drain(self, *_: object, **__: object) -> None:
        """Faust stopped fetching and is still in the group: finish the batch in hand, or give it up."""
        if self._running is None:
            return
        try:
            async with asyncio.timeout(self._settings.shutdown_grace_s / 2):
                await self._projector.drain()
        except TimeoutError:
            log.warning("gave up the batch in hand", projection=self._store.name)
            self._running.cancel()

    async def _close(self) -> None:
        await self._letters.close()
        await self._store.close()
        await self._probes.stop()


def new_app(name: str, settings: Settings) -> App:
    """A Faust app that declares, commits and serves nothing by itself; its name is its consumer group."""
    url = yarl.URL(f"kafka://{settings.kafka_bootstrap}")
    datadir = settings.state_dir / "faust" / name
    datadir.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        name,
        broker=url,
        broker_credentials=_credentials(settings),
        datadir=datadir,
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=STREAM_BUFFER_SLABS,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=settings.partition_fetch_max_bytes,
        broker_client_id=name,
        broker_max_poll_records=settings.batch_max_records,
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=SESSION_TIMEOUT_S / 3,
        broker_max_poll_interval=NEVER_S,  # a store may be away for long, and then nothing is fetched
    )
    app.settings = settings
    app.transport = SlabTransport([url], app)
    return app


def _credentials(settings: Settings) -> Credentials | None:
    """What every other client of Kafka is made with, in Faust's words."""
    way_in = access(settings)
    if settings.kafka_uses_sasl:
        return SASLCredentials(
            username=way_in["sasl_plain_username"],
            password=way_in["sasl_plain_password"],
            mechanism=way_in["sasl_mechanism"],
            ssl_context=way_in["ssl_context"],
        )
    return SSLCredentials(way_in["ssl_context"]) if settings.kafka_uses_tls else None


def topics_of(views: Sequence[View[Any]]) -> list[str]:
    """What the projection of these views reads: their topics, and where operators have it try dead letters again."""
    return sorted({OPERATIONS.name, *(topic.name for view in views for topic in view.topics)})


def _declare(app: App, topics: Sequence[str], projector: Projector[Any]) -> None:
    """The app's one agent. What it raises ends the process."""
    channel = app.topic(*topics, schema=SlabSchema(key_type=bytes, value_type=bytes))

    @app.agent(channel, name="slabs", supervisor_strategy=CrashingSupervisor)  # type: ignore[untyped-decorator]
    async def slabs(stream: Any) -> None:
        async for event in stream.noack().events():
            projector.put(event.value)
            await stream.ack(event)


def run_worker(make: Callable[[], Worker], settings: Settings) -> None:
    """Make a worker on a new event loop, and run it until a signal ends it."""
    configure_logs(settings)
    logging.getLogger(consumer.__name__).setLevel(logging.WARNING)  # Faust's talk of starting and stopping
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # Faust's consumer thread makes its own loop
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)

    async def work() -> None:
        await make().run()

    asyncio.run(work())
