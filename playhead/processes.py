"""Playhead's own processes as children of one command: started, waited for, started again when they end, stopped.

Each leaves a mark in <state_dir>/run, so that `playhead down` ends them also when that command is long gone.
"""

import asyncio
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from infra.clock import monotonic_s
from infra.local import processes
from infra.local.errors import last_log_lines
from infra.local.ports import free_port, is_free
from infra.local.processes import Launch, Mark
from infra.settings import Settings, environment_of_child

COMMANDS: Final = "commands"
QUERY_API: Final = "query-api"
RELAY: Final = "relay"
BILLING: Final = "billing"
REAPER: Final = "reaper"
BACKFILL: Final = "backfill"
REBUILDS: Final = "rebuilds"
ARCHIVE: Final = "archive"
AUDITS: Final = "audits"
FAKE_PAYMENTS: Final = "fake-payments"
STORES: Final = ("postgres", "cassandra", "redis")

READY_WITHIN_S: Final = 60.0
WATCH_INTERVAL_S: Final = 0.2
RESTART_PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 4.0)
"""How long to wait before each start in a row; a process that ends more often is given up."""
STABLE_AFTER_S: Final = 30.0
PROXIES: Final = '["127.0.0.1/32"]'
TERRITORY: Final = "KR"
_POLL_S = 0.1


class ProcessFailed(Exception):
    """A process cannot be started or does not stay; the message is meant for the person at the terminal."""


def projections_of(store: str) -> str:
    """The name of the process that builds a store's views."""
    return f"projections-{store}"


STOP_ORDER: Final = (
    (COMMANDS, BILLING, REAPER),
    (
        RELAY,
        BACKFILL,
        REBUILDS,
        ARCHIVE,
        QUERY_API,
        AUDITS,
        FAKE_PAYMENTS,
        *(projections_of(store) for store in STORES),
    ),
)
"""Who is asked to end first: what takes events in, then what carries and shows them."""
NAMES: Final = tuple(name for wave in STOP_ORDER for name in wave)


@dataclass
class Process:
    """One process: how it is started, where it answers, and how it has fared."""

    name: str
    arguments: tuple[str, ...]
    port: int
    environment: dict[str, str]
    log: Path
    mark_path: Path
    mark: Mark | None = None
    started_s: float = 0.0
    restarts: int = 0
    failures_in_a_row: int = 0
    next_start_s: float | None = None

    @property
    def pid(self) -> int | None:
        """Its id while it runs."""
        return self.mark.pid if self.mark is not None and processes.is_running(self.mark) else None

    def rss_bytes(self) -> int:
        """How much memory it holds; 0 when it does not run."""
        pid = self.pid
        try:
            return 0 if pid is None else int(psutil.Process(pid).memory_info().rss)
        except psutil.Error:
            return 0

    def start(self) -> None:
        """Start it. Raises LocalServerError."""
        command = (sys.executable, "-m", "playhead", *self.arguments)
        self.mark = processes.spawn(Launch(command, Path.cwd(), environment=self.environment), self.log)
        processes.write_mark(self.mark_path, self.mark)
        self.started_s = monotonic_s()

    def failure(self, what: str) -> ProcessFailed:
        """Why it is given up, with the end of its log."""
        alone = " ".join(self.arguments)
        return ProcessFailed(
            f"{self.name} {what}. The end of {self.log}:\n{last_log_lines(self.log)}\n"
            f"Mend what it says and try again; `playhead {alone}` starts only this process."
        )


@dataclass
class Fleet:
    """All processes of one installation. start() and stop() block; watch() is for the event loop in between."""

    settings: Settings
    say: Callable[[str], None]
    processes: dict[str, Process] = field(default_factory=dict)

    def start(self) -> None:
        """Start every process and return when each says that it is ready. Raises ProcessFailed."""
        self.processes = {process.name: process for process in _processes(self.settings)}
        for process in self.processes.values():
            _require_free(process)
            process.start()
        deadline_s = monotonic_s() + READY_WITHIN_S
        for process in self.processes.values():
            self._await(process, deadline_s)

    def stop(self) -> None:
        """Ask all to end, in order, and wait until they have."""
        end(self.settings)

    def kill(self, name: str) -> int | None:
        """SIGKILL one, as a crash would; its id."""
        process = self.processes[name]
        pid = process.pid
        if process.mark is not None:
            processes.kill(process.mark)
        return pid

    async def watch(self) -> None:
        """Start again whatever ends, after a pause that grows; for ever. Raises ProcessFailed when one gives up."""
        while True:
            for process in self.processes.values():
                self._look_after(process)
            await asyncio.sleep(WATCH_INTERVAL_S)

    def url(self, name: str) -> str:
        """Where a process answers."""
        return f"http://{self.settings.host}:{self.processes[name].port}"

    def _look_after(self, process: Process) -> None:
        now_s = monotonic_s()
        if process.pid is not None:
            return
        if process.next_start_s is None:
            stable = now_s - process.started_s > STABLE_AFTER_S
            process.failures_in_a_row = 1 if stable else process.failures_in_a_row + 1
            if process.failures_in_a_row > len(RESTART_PAUSES_S):
                raise process.failure(f"ended {process.failures_in_a_row} times in a row")
            process.next_start_s = now_s + RESTART_PAUSES_S[process.failures_in_a_row - 1]
        elif now_s >= process.next_start_s:
            process.next_start_s = None
            process.restarts += 1
            process.start()
            self.say(f"{process.name} had ended: started again as {process.pid}")

    def _await(self, process: Process, deadline_s: float) -> None:
        answer = "no answer"
        while answer != "ready":
            if process.pid is None:
                raise process.failure("ended during its start")
            if monotonic_s() > deadline_s:
                raise process.failure(f"was not ready within {READY_WITHIN_S:.0f} s ({answer})")
            time.sleep(_POLL_S)
            answer = _readiness(f"{self.url(process.name)}/ready")


def end(settings: Settings) -> list[str]:
    """Stop the processes that were started from this state directory; the names of those that ran."""
    marks = {name: processes.read_running(_mark_path(settings, name)) for name in NAMES}
    for wave in STOP_ORDER:
        _stop_together([mark for name in wave if (mark := marks[name]) is not None], settings.shutdown_grace_s)
    for name in NAMES:
        _mark_path(settings, name).unlink(missing_ok=True)
    return [name for name, mark in marks.items() if mark is not None]


def _stop_together(marks: Sequence[Mark], patience_s: float) -> None:
    with ThreadPoolExecutor(len(NAMES)) as pool:
        list(pool.map(lambda mark: processes.stop(mark, patience_s), marks))


def _processes(settings: Settings) -> Iterator[Process]:
    ports = dict(zip(NAMES, _ports(settings), strict=True))
    provider = f"http://{settings.host}:{ports[FAKE_PAYMENTS]}"
    behind = {"trusted_proxies": PROXIES}  # the demo stands in front of them, and says whom it speaks for
    prompt = {"mail_poll_interval_s": 0.1}
    # An evening is short, and so are its leases, and the waiting until something is archived and signed.
    viewing: dict[str, float | str] = {"default_territory": TERRITORY, "heartbeat_interval_s": 1}
    yield _process(settings, COMMANDS, (COMMANDS,), commands_port=ports[COMMANDS], **behind, **prompt, **viewing)
    yield _process(settings, QUERY_API, (QUERY_API,), query_port=ports[QUERY_API], **behind)
    yield _process(settings, AUDITS, (AUDITS,), audits_port=ports[AUDITS], **behind)
    yield _process(settings, RELAY, (RELAY,), probe_port=ports[RELAY])
    yield _process(settings, BACKFILL, (BACKFILL,), probe_port=ports[BACKFILL])
    told = {"fake_payments_port": ports[FAKE_PAYMENTS], "commands_port": ports[COMMANDS]}
    yield _process(settings, FAKE_PAYMENTS, (FAKE_PAYMENTS,), **told)
    hasty = {"billing_poll_interval_s": 0.25, "billing_recheck_s": 1.0}
    yield _process(settings, BILLING, (BILLING,), probe_port=ports[BILLING], payments_url=provider, **hasty)
    yield _process(settings, REAPER, (REAPER,), probe_port=ports[REAPER])
    yield _process(settings, REBUILDS, (REBUILDS,), probe_port=ports[REBUILDS])
    signing = {"archive_file_max_age_s": 5.0, "checkpoint_interval_s": 5.0}
    yield _process(settings, ARCHIVE, (ARCHIVE,), probe_port=ports[ARCHIVE], **signing)
    for store in STORES:
        name = projections_of(store)
        yield _process(settings, name, ("projections", store), probe_port=ports[name])


def _ports(settings: Settings) -> Iterator[int]:
    """A port for each of NAMES: the configured one of those that have one, else a free one."""
    settable = {
        COMMANDS: "commands_port",
        QUERY_API: "query_port",
        AUDITS: "audits_port",
        FAKE_PAYMENTS: "fake_payments_port",
    }
    configured = [
        getattr(settings, settable[name]) if settable.get(name) in settings.model_fields_set else None for name in NAMES
    ]
    taken = {port for port in configured if port is not None}
    for port in configured:
        chosen = port or free_port(settings.state_dir.absolute() / "processes", taken)
        taken.add(chosen)
        yield chosen


def environment_of(settings: Settings, **told: object) -> dict[str, str]:
    """The environment of a process of this installation; `told`: what is set for it alone."""
    return environment_of_child(
        state_dir=settings.state_dir.absolute(),
        keys_dir=settings.keys_path.absolute(),
        kafka_bootstrap=settings.kafka_bootstrap,
        postgres_dsn=settings.postgres_dsn,
        cassandra_host=settings.cassandra_host,
        cassandra_port=settings.cassandra_port,
        redis_url=settings.redis_url,
        **told,
    )


def _process(settings: Settings, name: str, arguments: tuple[str, ...], **told: float | str) -> Process:
    """`told`: settings of this process alone, the first of them the port on which it answers."""
    environment = environment_of(settings, **told)
    log = settings.state_dir.absolute() / "logs" / f"{name}.log"
    return Process(name, arguments, int(next(iter(told.values()))), environment, log, _mark_path(settings, name))


def _mark_path(settings: Settings, name: str) -> Path:
    return settings.state_dir.absolute() / "run" / f"{name}.json"


def _require_free(process: Process) -> None:
    if not is_free(process.port):
        raise ProcessFailed(
            f"Port {process.port}, which {process.name} is to listen on, is taken by another process. Stop that one, "
            "or name another: PLAYHEAD_COMMANDS_PORT, PLAYHEAD_QUERY_PORT, PLAYHEAD_AUDITS_PORT, "
            "PLAYHEAD_FAKE_PAYMENTS_PORT."
        )


def _readiness(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=_POLL_S * 20):
            return "ready"
    except urllib.error.HTTPError as error:
        return error.read().decode(errors="replace")
    except OSError as error:
        return str(error)
