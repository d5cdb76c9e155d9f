"""`playhead up|down|status|logs`: Kafka, Cassandra, Postgres and Redis on this machine, without Docker."""

import os
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from infra.local import SERVERS, LocalServerError, LocalServers
from infra.settings import Settings, settings
from playhead import processes
from playhead.console import fail, out, say

Server = StrEnum("Server", {name.upper(): name for name in SERVERS})  # type: ignore[misc]  # mypy wants literals
TAIL_BYTES = 4_000


def servers_of(chosen: Settings) -> LocalServers:
    """The native servers of these settings' state directory."""
    ports = {name: getattr(chosen, f"local_{name}_port") for name in SERVERS}
    fixed = {name: port for name, port in ports.items() if port is not None}
    return LocalServers(chosen.state_dir, chosen.cache_dir, fixed, java_home=chosen.java_home)


def up() -> None:
    """Start Kafka, Cassandra, Postgres and Redis natively (first time: their pinned artefacts are fetched by Maven)."""
    try:
        servers_of(settings()).up(say)
    except LocalServerError as error:
        raise fail(str(error)) from error
    say(f"Endpoints are in {settings().state_dir / 'servers.env'}; next: playhead migrate")


def down() -> None:
    """Stop what `playhead up` and `playhead demo --keep` started here; the data stays."""
    for name in processes.end(settings()):
        say(f"{name}: stopped")
    try:
        servers_of(settings()).down()
    except LocalServerError as error:
        raise fail(str(error)) from error
    say("Stopped. The data stays in " + str(settings().state_dir))


def status() -> None:
    """What runs, on which port, under which process id."""
    table = Table("server", "state", "port", "pid", "log", box=None)
    for server in servers_of(settings()).status():
        table.add_row(server.name, server.state, str(server.port or "-"), str(server.pid or "-"), str(server.log))
    out.print(table)


def logs(server: Annotated[Server | None, typer.Argument(help="only this one")] = None) -> None:
    """The ends of the servers' logs."""
    local = servers_of(settings())
    for name in [server.value] if server else SERVERS:
        path = local.log_path(name)
        say(f"== {name}: {path}")
        if path.exists():
            say(_tail(path.read_bytes()))


def _tail(log: bytes) -> str:
    return log[-TAIL_BYTES:].decode(errors="replace").rstrip() + os.linesep
