"""Processes under measurement: started with the run's settings, waited for, metered, and ended."""

import asyncio
import platform
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket
from typing import IO

import psutil

from playhead.processes import environment_of
from tests.benchmarks.bench import Bench

READY_WITHIN_S = 60.0
STOP_PATIENCE_S = 15.0


class ChildFailed(Exception):
    """A process did not become ready; the message holds the end of its log."""


class Child:
    """A running process. `port`: where it answers, or its probes do."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.name = name
        self.port = port
        self._process = process
        self._log = log

    def cpu_s(self) -> float:
        """Seconds of CPU that it has used, user and system, all of its threads."""
        if platform.system() == "Linux":  # by its clock, clock_getcpuclockid(3): psutil's ticks are of 10 ms
            return time.clock_gettime((~self._process.pid << 3) | 2)
        used = psutil.Process(self._process.pid).cpu_times()
        return used.user + used.system

    def peak_mb(self) -> float:
        """The most memory that was resident, where the system keeps it (Linux); else what is now."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
            return int(status.partition("VmHWM:")[2].split()[0]) / 1024
        except (OSError, IndexError):
            return self.rss_mb()

    def rss_mb(self) -> float:
        """The memory that is resident now."""
        return float(psutil.Process(self._process.pid).memory_info().rss) / 2**20

    async def ready(self) -> None:
        """Wait until it says that it is. Raises ChildFailed."""
        deadline_s = asyncio.get_running_loop().time() + READY_WITHIN_S
        while not await asyncio.to_thread(self._answers):
            if self._process.poll() is not None or asyncio.get_running_loop().time() > deadline_s:
                raise ChildFailed(f"{self.name} is not ready: {self._log.read_text(errors='replace')[-2000:]}")
            await asyncio.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=5):
                return True
        except OSError:
            return False


@asynccontextmanager
async def running(
    bench: Bench, name: str, *arguments: str, port_setting: str, **changes: object
) -> AsyncIterator[Child]:
    """`python <arguments>` under the run's settings with changes, ready; it is ended with the block."""
    log = bench.settings.state_dir / f"{name.replace(' ', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    with log.open("wb") as output:
        process = _start(bench, arguments, output, **{**changes, port_setting: port})
    child = Child(name, process, port, log)
    try:
        await child.ready()
        yield child
        bench.peaks_mb[name] = max(child.peak_mb(), bench.peaks_mb.get(name, 0.0))
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def playhead(*arguments: str) -> tuple[str, ...]:
    """The arguments of one of Playhead's own processes."""
    return ("-m", "playhead", *arguments)


def _start(bench: Bench, arguments: tuple[str, ...], output: IO[bytes], **changes: object) -> "subprocess.Popen[bytes]":
    environment = environment_of(bench.settings, **changes)
    return subprocess.Popen((sys.executable, *arguments), env=environment, stdout=output, stderr=subprocess.STDOUT)


def _free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
