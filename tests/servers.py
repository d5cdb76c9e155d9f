"""Gives the tests their four servers: the ones that the environment names, else containers, else native ones.

Registered in tests/conftest.py as a plugin; a test asks for the fixture `servers`. PLAYHEAD_TEST_SERVERS=native or
=containers forces the choice.
"""

import atexit
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import psutil
import pytest

from infra.local import Endpoints, LocalServers
from infra.settings import load_settings
from tests.containers import ContainerServers, docker_engine_answers

STATE_ROOT = Path(__file__).parent.parent / ".playhead"
_GIVEN = (
    "PLAYHEAD_KAFKA_BOOTSTRAP",
    "PLAYHEAD_POSTGRES_DSN",
    "PLAYHEAD_CASSANDRA_HOST",
    "PLAYHEAD_CASSANDRA_PORT",
    "PLAYHEAD_REDIS_URL",
)


class Servers(Protocol):
    """Where the servers answer, and the means to break one: names are "kafka", "cassandra", "postgres", "redis"."""

    @property
    def endpoints(self) -> Endpoints: ...

    def stop(self, name: str) -> None:
        """End one server in an orderly way."""

    def kill(self, name: str) -> None:
        """End one server with SIGKILL."""

    def start(self, name: str) -> None:
        """Start one server again, at the same endpoint, and wait until it serves."""

    def pause(self, name: str) -> None:
        """Have one server stand still: it takes connections, and answers nothing."""

    def resume(self, name: str) -> None:
        """Have it go on."""


class GivenServers:
    """Servers that someone else runs; they are not ours to break, so tests that would are skipped."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        missing = [name for name in _GIVEN if name not in environment]
        if missing:
            raise pytest.UsageError(f"The environment names some servers but lacks {', '.join(missing)}.")
        self.endpoints = Endpoints(
            kafka_bootstrap=environment["PLAYHEAD_KAFKA_BOOTSTRAP"],
            postgres_dsn=environment["PLAYHEAD_POSTGRES_DSN"],
            cassandra_host=environment["PLAYHEAD_CASSANDRA_HOST"],
            cassandra_port=int(environment["PLAYHEAD_CASSANDRA_PORT"]),
            redis_url=environment["PLAYHEAD_REDIS_URL"],
        )

    def stop(self, name: str) -> None:
        pytest.skip(f"{name} is given by the environment and not stopped by a test")

    kill = stop
    start = stop
    pause = stop
    resume = stop


class NativeServers:
    """Servers started here in a directory of this test run."""

    def __init__(self) -> None:
        settings = load_settings()
        self._local = LocalServers(STATE_ROOT / f"test-{os.getpid()}", settings.cache_dir, java_home=settings.java_home)
        self._owner = os.getpid()
        # Where the fixture's end is not reached, an exit of the interpreter still is.
        atexit.register(self.erase)
        self.endpoints = self._local.up(_quietly)
        self.kafka_data = STATE_ROOT / f"test-{os.getpid()}" / "kafka" / "data"

    def stop(self, name: str) -> None:
        self._local.stop(name)

    def kill(self, name: str) -> None:
        self._local.kill(name)

    def start(self, name: str) -> None:
        self._local.start(name)

    def pause(self, name: str) -> None:
        os.kill(self._pid_of(name), signal.SIGSTOP)

    def resume(self, name: str) -> None:
        os.kill(self._pid_of(name), signal.SIGCONT)

    def _pid_of(self, name: str) -> int:
        [pid] = [server.pid for server in self._local.status() if server.name == name]
        assert pid is not None
        return pid

    def erase(self) -> None:
        """End the servers and remove what they wrote; a fork of the test process leaves them alone."""
        if os.getpid() == self._owner:
            atexit.unregister(self.erase)
            self._local.erase()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The four servers for the whole run; what was started for it is ended with it."""
    if any(name in os.environ for name in _GIVEN):
        yield GivenServers(os.environ)
        return
    _end_on_sigterm()
    erase_abandoned(STATE_ROOT)
    started = ContainerServers() if _containers_wanted() else NativeServers()
    try:
        yield started
    finally:
        started.erase()


def erase_abandoned(root: Path) -> None:
    """End the servers of test runs that were killed before they could do it themselves."""
    for state in root.glob("test-*"):
        pid = state.name.split("-")[1]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            LocalServers(state, load_settings().cache_dir).erase()
            shutil.rmtree(state, ignore_errors=True)


def _containers_wanted() -> bool:
    match os.environ.get("PLAYHEAD_TEST_SERVERS", ""):
        case "native":
            return False
        case "containers":
            return True
        case _:
            return docker_engine_answers()


def _end_on_sigterm() -> None:
    """Let a SIGTERM end the run as Ctrl-C does, so that fixtures are torn down."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _quietly(_: str) -> None:
    """Nobody watches; what fails is in the error."""
