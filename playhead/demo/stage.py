"""Sets up what the demo plays on, and takes away afterwards what it set up: servers, migrations, processes."""

import asyncio
import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from infra.local import SERVERS, LocalServers
from infra.migrate import migrate
from infra.settings import Settings, servers_given
from playhead import processes
from playhead.console import say
from playhead.local import servers_of
from playhead.processes import Fleet


class StageTaken(Exception):
    """Another demo runs on the same state directory."""


@contextmanager
def stage(settings: Settings, *, keep: bool) -> Iterator[Fleet]:
    """All of an installation, ready. With `keep` it is left running, unless what was done on it raises.

    Raises StageTaken, LocalServerError, Unmigrated, ProcessFailed.
    """
    with ExitStack() as undo:
        undo.enter_context(_alone(settings.state_dir.absolute()))
        kept = undo.enter_context(ExitStack())
        ready = settings if servers_given() else _with_servers(settings, kept)
        say("Migrating ...")
        asyncio.run(migrate(ready, say))
        fleet = _with_processes(ready, kept)
        yield fleet
        if keep:
            kept.pop_all()


@contextmanager
def _alone(state_dir: Path) -> Iterator[None]:
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "demo.lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StageTaken(
                f"Another demo runs in {state_dir}. Wait for it, or set PLAYHEAD_STATE_DIR to another directory."
            ) from error
        yield


def _with_servers(settings: Settings, undo: ExitStack) -> Settings:
    """The settings with the native servers' endpoints, once those serve."""
    servers = servers_of(settings)
    running = {server.name for server in servers.status() if server.state == "running"}
    say("Starting Kafka, Cassandra, Postgres and Redis ..." if len(running) < len(SERVERS) else "The servers run.")
    endpoints = servers.up(say)
    undo.callback(_end_servers, servers, running)
    return settings.model_copy(
        update={
            "kafka_bootstrap": endpoints.kafka_bootstrap,
            "postgres_dsn": endpoints.postgres_dsn,
            "cassandra_host": endpoints.cassandra_host,
            "cassandra_port": endpoints.cassandra_port,
            "redis_url": endpoints.redis_url,
        }
    )


def _end_servers(servers: LocalServers, found_running: set[str]) -> None:
    """Stop the servers that were not there before."""
    if not found_running:
        say("Stopping the servers ...")
        servers.down()
    for name in SERVERS:
        if found_running and name not in found_running:
            servers.stop(name)


def _with_processes(settings: Settings, undo: ExitStack) -> Fleet:
    for name in processes.end(settings):
        say(f"{name}: ended, it was left from an earlier demo")
    fleet = Fleet(settings, say)
    undo.callback(_end_processes, fleet)
    say("Starting commands, query-api, relay, billing, a fake payment provider and the projections of three stores ...")
    fleet.start()
    return fleet


def _end_processes(fleet: Fleet) -> None:
    say("Stopping the processes ...")
    fleet.stop()
