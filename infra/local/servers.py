"""The front of the local servers: brings the four up together, remembers what it started, and ends only that."""

import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infra.local import processes
from infra.local.artefacts import Artefacts
from infra.local.cassandra import Cassandra
from infra.local.endpoints import Endpoints, local_endpoints, write_environment
from infra.local.errors import LocalServerError
from infra.local.kafka import Kafka
from infra.local.locks import exclusive
from infra.local.platforms import this_platform
from infra.local.port_book import PortBook
from infra.local.postgres import Postgres, erase_home
from infra.local.processes import Mark
from infra.local.redis import Redis
from infra.local.server import Server
from infra.local.startup import Places, Startup

SERVERS = ("kafka", "cassandra", "postgres", "redis")
_KINDS: dict[str, Server] = {server.name: server for server in (Kafka(), Cassandra(), Postgres(), Redis())}
_STOP_PATIENCE_S = 30.0


@dataclass(frozen=True)
class ServerStatus:
    """One server as `status` found it; `unready` means that its process runs but does not answer."""

    name: str
    state: Literal["running", "unready", "stopped"]
    port: int | None
    pid: int | None
    log: Path


class LocalServers:
    """The servers of one state directory, which holds their data, logs, configuration and process ids.

    Two processes may use the same directory: what starts or stops a server waits for its turn.
    """

    def __init__(
        self,
        state_dir: Path,
        cache_dir: Path,
        ports: Mapping[str, int] | None = None,
        *,
        java_home: Path | None = None,
    ) -> None:
        """`ports` holds the configured ones, by server or "kafka_controller", "cassandra_storage"; others are free
        ones. `cache_dir` holds the binaries and is best shared. `java_home` is tried first, then PATH and others.
        """
        self._state_dir = state_dir.absolute()
        self._places = Places(self._state_dir)
        self._book = PortBook(self._state_dir / "ports.json", _known(ports or {}))
        self._java_home = java_home
        self._platform = this_platform()
        self._artefacts = Artefacts(cache_dir.absolute(), self._platform)

    def up(self, on_progress: Callable[[str], None]) -> Endpoints:
        """Start what does not run yet, wait until all four serve, and say where; a second call changes nothing.

        When it fails or is interrupted, it ends what it started itself. Raises LocalServerError.
        """
        with self._locked():
            before = {name for name in SERVERS if self._running(name) is not None}
            ports = self._book.settle(tuple(_KINDS.values()), before, on_progress)
            try:
                self._startup(ports).run(tuple(_KINDS.values()), java_home=self._java_home, say=on_progress)
            except BaseException:
                self._end(name for name in SERVERS if name not in before)
                raise
            endpoints = _endpoints(ports)
            write_environment(self._environment_path, endpoints)
            return endpoints

    def down(self) -> None:
        """Stop the servers that were started from this state directory; their data stays."""
        if self._state_dir.exists():
            with self._locked():
                self._end(SERVERS)
                self._environment_path.unlink(missing_ok=True)

    def erase(self) -> None:
        """Stop the servers and remove everything that they kept."""
        self.down()
        erase_home(self._places.home("postgres"))
        shutil.rmtree(self._state_dir, ignore_errors=True)

    def status(self) -> list[ServerStatus]:
        """What runs, where; each server is asked itself."""
        ports = self._book.remembered()
        with ThreadPoolExecutor(len(SERVERS)) as pool:
            return list(pool.map(lambda name: self._status(name, ports.get(name)), SERVERS))

    def log_path(self, server: str) -> Path:
        """The log of `server`, which exists once it was started."""
        return self._places.log(_kind(server).name)

    def start(self, server: str) -> None:
        """Start one server that was stopped or killed, on the port that it had, and wait until it serves."""
        kind = _kind(server)
        with self._locked():
            ports = self._book.remembered()
            if not ports.keys() >= set(kind.port_names):
                raise LocalServerError(f"{server} has never been up here: start all servers first.")
            self._startup(ports).run((kind,), java_home=self._java_home, say=_silently)

    def stop(self, server: str) -> None:
        """Ask one server to end, and wait until it has."""
        name = _kind(server).name
        with self._locked():
            self._end([name])

    def kill(self, server: str) -> None:
        """SIGKILL one server, as a crash would: nothing is flushed and no client is told."""
        mark = self._running(_kind(server).name)
        if mark is not None:
            processes.kill(mark)

    def _status(self, name: str, port: int | None) -> ServerStatus:
        mark = self._running(name)
        log = self._places.log(name)
        if mark is None or port is None:
            return ServerStatus(name, "stopped", port, None, log)
        state: Literal["running", "unready"] = "running" if _KINDS[name].serves(port) else "unready"
        return ServerStatus(name, state, port, mark.pid, log)

    def _end(self, names: Iterable[str]) -> None:
        """Stop these servers side by side."""
        with ThreadPoolExecutor(len(SERVERS)) as pool:
            list(pool.map(self._end_one, names))

    def _end_one(self, name: str) -> None:
        mark = self._running(name)
        if mark is not None:
            processes.stop(mark, _STOP_PATIENCE_S)
        self._places.mark(name).unlink(missing_ok=True)

    def _running(self, name: str) -> Mark | None:
        return processes.read_running(self._places.mark(name))

    def _startup(self, ports: Mapping[str, int]) -> Startup:
        return Startup(self._places, ports, self._artefacts, self._platform)

    def _locked(self) -> AbstractContextManager[None]:
        return exclusive(self._state_dir / "lock")

    @property
    def _environment_path(self) -> Path:
        return self._state_dir / "servers.env"


def _kind(server: str) -> Server:
    if server not in _KINDS:
        raise LocalServerError(f"There is no server {server}; there are {', '.join(SERVERS)}.")
    return _KINDS[server]


def _known(ports: Mapping[str, int]) -> Mapping[str, int]:
    """`ports`, once every name is that of a port and no number is used twice."""
    names = [name for server in _KINDS.values() for name in server.port_names]
    if unknown := ports.keys() - set(names):
        raise LocalServerError(f"No server has a port {', '.join(sorted(unknown))}; there are {', '.join(names)}.")
    if len(set(ports.values())) < len(ports):
        raise LocalServerError(f"Two servers are configured for the same port: {dict(ports)}.")
    return ports


def _endpoints(ports: Mapping[str, int]) -> Endpoints:
    return local_endpoints(
        kafka=ports["kafka"], cassandra=ports["cassandra"], postgres=ports["postgres"], redis=ports["redis"]
    )


def _silently(_: str) -> None:
    """Nobody watches the start of a single server."""
