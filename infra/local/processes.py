"""Starts servers that outlive the command that started them, and ends them later without ever hitting a stranger.

A process id alone says little: it is given to another process in time. A mark therefore holds the birth of the
process too, and a process whose birth is another is not ours.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from infra.local.accounts import Account
from infra.local.errors import LocalServerError, last_lines

_POLL_S = 0.05
_KILL_PATIENCE_S = 10.0
_LOG_LIMIT_BYTES = 32 << 20

# Children of this very process stay zombies until they are waited for, hence their handles are kept.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Launch:
    """How one server is started and asked to end. `environment`: all of it; None: that of this process."""

    command: tuple[str, ...]
    directory: Path
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    environment: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Mark:
    """A process as it is remembered on disk: its id, its birth, and the signal that asks it to end."""

    pid: int
    birth: str
    stop_signal: int


def spawn(launch: Launch, log: Path) -> Mark:
    """Start the server in a session of its own, its output appended to `log`."""
    _roll(log)
    user, group = _credentials(launch.account)
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(
                launch.command,
                cwd=launch.directory,
                env=launch.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
                group=group,
                extra_groups=None if group is None else [],
            )
    except OSError as error:
        raise LocalServerError(f"{launch.command[0]} cannot be started: {error}") from error
    _children[process.pid] = process
    return Mark(process.pid, birth_of(process.pid) or "", launch.stop_signal)


def run_once(
    command: Sequence[str], *, what: str, account: Account | None = None, say: str = "", timeout_s: float = 120
) -> None:
    """Run a command to its end, `say` on its standard input; the error tells `what` failed and its last lines."""
    user, group = _credentials(account)
    try:
        done = subprocess.run(
            command,
            input=say,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            cwd="/",
            user=user,
            group=group,
            extra_groups=None if group is None else [],
        )
    except subprocess.TimeoutExpired as error:
        raise LocalServerError(f"{what} did not end within {timeout_s:.0f} s: {command[0]}") from error
    except OSError as error:
        raise LocalServerError(f"{what} failed: {error}") from error
    if done.returncode != 0:
        raise LocalServerError(f"{what} failed:\n{last_lines(done.stdout)}")


def is_running(mark: Mark) -> bool:
    """Whether the marked process still runs; one that got the same id later is another, and a zombie is dead."""
    child = _children.get(mark.pid)
    if child is not None and child.poll() is not None:
        del _children[mark.pid]
        return False
    return bool(mark.birth) and birth_of(mark.pid) == mark.birth


def stop(mark: Mark, patience_s: float) -> None:
    """Ask the process to end, and kill it when it has not within `patience_s`."""
    if not is_running(mark):
        return
    os.kill(mark.pid, mark.stop_signal)
    if not _has_ended(mark, patience_s):
        kill(mark)


def kill(mark: Mark) -> None:
    """SIGKILL the process and its children (Postgres has one a connection), as a crash of the machine would."""
    if not is_running(mark):
        return
    family = [mark, *(Mark(child, birth_of(child) or "", signal.SIGKILL) for child in _child_ids(mark.pid))]
    for member in family:
        if is_running(member):
            os.kill(member.pid, signal.SIGKILL)
    for member in family:
        if not _has_ended(member, _KILL_PATIENCE_S):
            raise LocalServerError(f"Process {member.pid} does not end, even on SIGKILL.")


def read_running(path: Path) -> Mark | None:
    """The process that `path` remembers, or None when it has ended or `path` tells of none."""
    try:
        kept = json.loads(path.read_text())
        mark = Mark(pid=int(kept["pid"]), birth=str(kept["birth"]), stop_signal=int(kept["stop_signal"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return mark if is_running(mark) else None


def write_mark(path: Path, mark: Mark) -> None:
    """Keep `mark` in `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(mark)))


def birth_of(pid: int) -> str | None:
    """What no two processes of one id share: when it was born, and in which boot. None for a dead one or a zombie."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # The name, field 2, may hold blanks and parentheses; what follows its last one is regular (man 5 proc).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        state, threads, started_ticks = fields[0], int(fields[17]), fields[19]
        # A zombie waits only for its parent, and where nothing adopts orphans it waits for ever; but one that still
        # has threads is on its way out, and keeps its ports and files until the last of them is gone.
        return None if state in "ZX" and threads <= 1 else f"{boot}/{started_ticks}"
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() else _birth_without_proc(pid)


def _birth_without_proc(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.Error:
        return None


def _child_ids(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def _has_ended(mark: Mark, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while is_running(mark):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _credentials(account: Account | None) -> tuple[int | None, int | None]:
    return (None, None) if account is None else (account.uid, account.gid)


def _roll(log: Path) -> None:
    """Keep one earlier log, so that a server started over and over does not fill the disk."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".previous.log"))
