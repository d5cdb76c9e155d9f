"""Brings servers up side by side: checks what they need, starts those that do not run, waits until they serve."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from infra.local import processes
from infra.local.artefacts import Artefacts
from infra.local.errors import LocalServerError, last_log_lines
from infra.local.java import find_java
from infra.local.platforms import Platform
from infra.local.ports import require_free
from infra.local.processes import Mark
from infra.local.server import Server, Site

_READY_TIMEOUT_S = 120.0
_POLL_S = 0.05


class _GaveUpError(LocalServerError):
    """A server was not started or not waited for, because another one had failed."""


@dataclass(frozen=True)
class Places:
    """Where the parts of one state directory are."""

    state_dir: Path

    def home(self, server: str) -> Path:
        """What the server keeps: configuration and data."""
        return self.state_dir / server

    def log(self, server: str) -> Path:
        """What the server writes to its output."""
        return self.state_dir / "logs" / f"{server}.log"

    def mark(self, server: str) -> Path:
        """Which process it is."""
        return self.state_dir / "run" / f"{server}.json"


class Startup:
    """One start of some servers; the first failure, or Ctrl-C, makes all of them give up."""

    def __init__(self, places: Places, ports: Mapping[str, int], artefacts: Artefacts, platform: Platform) -> None:
        self._places = places
        self._ports = ports
        self._artefacts = artefacts
        self._platform = platform
        self._given_up = threading.Event()

    def run(self, servers: Sequence[Server], *, java_home: Path | None, say: Callable[[str], None]) -> None:
        """Start `servers` where they do not run, and return when all of them serve."""
        idle = [server for server in servers if self._running(server) is None]
        java = self._require(idle, java_home)
        with ThreadPoolExecutor(len(servers)) as pool:
            starts = [pool.submit(self._bring_up, server, java, say) for server in servers]
            try:
                wait(starts, return_when=FIRST_EXCEPTION)
            finally:
                self._given_up.set()
        failures = [failure for start in starts if (failure := start.exception()) is not None]
        # The cause first: those that gave up because of it have nothing to add.
        for failure in sorted(failures, key=lambda failure: isinstance(failure, _GaveUpError)):
            raise failure

    def _require(self, idle: Sequence[Server], java_home: Path | None) -> Path | None:
        """The Java to use. Everything that is missing is told at once, and before anything is started."""
        found: list[Path] = []
        checks: list[Callable[[], None]] = []
        if any(server.needs_java for server in idle):
            checks.append(lambda: found.append(find_java(java_home)))
        checks.append(partial(self._artefacts.require_maven, tuple(server.name for server in idle)))
        for server in idle:
            checks += [partial(require_free, server.name, self._ports[name]) for name in server.port_names]
        missing = []
        for check in checks:
            try:
                check()
            except LocalServerError as error:
                missing.append(str(error))
        if missing:
            raise LocalServerError("\n".join(missing))
        return found[0] if found else None

    def _bring_up(self, server: Server, java: Path | None, say: Callable[[str], None]) -> None:
        began = time.monotonic()
        port = self._ports[server.name]
        mark = self._running(server)
        if mark is not None and server.serves(port):
            return
        self._await(server, mark or self._start(server, java, say), port)
        say(f"{server.name}: ready on port {port} after {time.monotonic() - began:.1f} s")

    def _start(self, server: Server, java: Path | None, say: Callable[[str], None]) -> Mark:
        home = self._places.home(server.name)
        site = Site(home, self._ports, java, self._artefacts, self._platform, say)
        launch = server.prepare(site)
        if self._given_up.is_set():
            raise _GaveUpError(f"{server.name} was not started, as another server failed.")
        mark = processes.spawn(launch, self._places.log(server.name))
        processes.write_mark(self._places.mark(server.name), mark)
        return mark

    def _await(self, server: Server, mark: Mark, port: int) -> None:
        """Wait until the server serves; when it ends or takes too long, its log is quoted."""
        log = self._places.log(server.name)
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not server.serves(port):
            if not processes.is_running(mark):
                raise LocalServerError(f"{server.name} ended during its start; {log} says:\n{last_log_lines(log)}")
            if time.monotonic() > deadline:
                told = f"{server.name} did not serve within {_READY_TIMEOUT_S:.0f} s; {log} says"
                raise LocalServerError(f"{told}:\n{last_log_lines(log)}")
            if self._given_up.wait(_POLL_S):
                raise _GaveUpError(f"{server.name} was not waited for, as another server failed.")

    def _running(self, server: Server) -> Mark | None:
        return processes.read_running(self._places.mark(server.name))
