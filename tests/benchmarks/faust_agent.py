"""What the projector is compared with as well: an ordinary Faust agent, one event at a time, as its documentation
shows them. Same fold, same SQL. `python -m tests.benchmarks.faust_agent`.
"""

import asyncio
from typing import Any

import faust
import uvloop

from events.registry import REGISTRY
from events.topics import PLAYBACK
from infra.postgres import connect_pool
from infra.settings import Settings, settings
from infra.telemetry import ProbeServer
from projections.playback.playback_sessions import PlaybackSessions
from projections.stores.tables import Table

GROUP = "playhead-bench-faust"
VIEW = PlaybackSessions()
TABLE = Table(VIEW)


async def run(settings: Settings) -> None:
    """Fold from the group's offsets on, until it is ended."""
    pool = await connect_pool(settings, size=1, synchronous_commit=False)
    app = faust.App(
        GROUP,
        broker=f"kafka://{settings.kafka_bootstrap}",
        datadir=settings.state_dir / "faust" / GROUP,
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        broker_client_id=GROUP,
    )
    topic = app.topic(PLAYBACK.name, value_serializer="raw", value_type=bytes)

    @app.agent(topic)  # type: ignore[untyped-decorator]
    async def sessions(stream: Any) -> None:
        async for body in stream:
            event = REGISTRY.decode(body)
            record = await pool.fetchrow(TABLE.select, [VIEW.key(event)])
            row = VIEW.project(TABLE.row_of(record) if record else None, event)  # type: ignore[arg-type]
            if row is not None:
                await pool.execute(TABLE.upsert, *TABLE.columns_of([row]))

    async def ready() -> dict[str, str]:
        return {}

    await ProbeServer(settings, ready).start()
    worker = faust.Worker(app, loop=asyncio.get_running_loop(), quiet=True, redirect_stdouts=False)
    worker.spinner = None
    await worker.start()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(settings()))
