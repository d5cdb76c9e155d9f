"""A peer in an environment of its own: made from its locked requirements once, and its script run as a child."""

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psutil

from infra.settings import Settings, environment_of_child
from tests.benchmarks.bench import Bench

PEERS = Path(__file__).parent / "peers"
INSTALL_WITHIN_S = 300
WITHIN_S = 120.0


class PeerFailed(Exception):
    """The peer could not be installed, or its script ended otherwise than it should; the message says how."""


class Measured(msgspec.Struct):
    """What a step of a peer's came to: events a second, and CPU an event of its process."""

    per_s: float
    cpu_us: float


class Step:
    """A running script of a peer's, ready to begin."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def cpu_s(self) -> float:
        """Seconds of CPU that it has used, user and system."""
        used = psutil.Process(self._process.pid).cpu_times()
        return used.user + used.system

    def begin(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")

    async def measured(self) -> Measured:
        """What it says at its end. Raises PeerFailed."""
        assert self._process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            line = await self._process.stdout.readline()
        if not line:
            raise PeerFailed("the peer's script ended without a result; its errors are above")
        return msgspec.json.decode(line, type=Measured)


async def installed(bench: Bench, name: str) -> Path:
    """The Python of a peer's environment, which is made when its requirements are new. Raises PeerFailed."""
    requirements = PEERS / name / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    home = bench.settings.cache_dir / "peers" / f"{name}-{digest}"
    python, done = home / "bin" / "python", home / "installed"
    if not done.exists():
        with bench.stage(f"{name}: installing it into an environment of its own", 1):
            await _run(sys.executable, "-m", "venv", "--clear", str(home))
            await _run(str(python), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(requirements))
            done.touch()
    return python


async def _run(*command: str) -> None:
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=INSTALL_WITHIN_S
    )
    if done.returncode:
        raise PeerFailed(f"{' '.join(command)}: {done.stderr[-2000:]}")


@asynccontextmanager
async def running(python: Path, script: Path, *arguments: str, env: dict[str, str]) -> AsyncIterator[Step]:
    """The script, when it has said that it is ready; it is ended with the block."""
    process = await asyncio.create_subprocess_exec(
        str(python), str(script), *arguments, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WITHIN_S):
            if await process.stdout.readline() != b"ready\n":
                raise PeerFailed(f"{script.name} {' '.join(arguments)} did not become ready; its errors are above")
        yield Step(process)
        process.stdin.close()
        async with asyncio.timeout(WITHIN_S):
            if await process.wait():
                raise PeerFailed(f"{script.name} {' '.join(arguments)} ended with {process.returncode}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def eventsourcing_environment(settings: Settings, schema: str, *, pool: int) -> dict[str, str]:
    """The library's own settings: the same Postgres, in a schema of its own."""
    at = urlsplit(settings.postgres_dsn)
    return environment_of_child() | {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_HOST": at.hostname or "127.0.0.1",
        "POSTGRES_PORT": str(at.port or 5432),
        "POSTGRES_DBNAME": at.path.strip("/"),
        "POSTGRES_USER": at.username or "",
        "POSTGRES_PASSWORD": at.password or "none",
        "POSTGRES_SCHEMA": schema,
        "POSTGRES_POOL_SIZE": str(pool),
    }
