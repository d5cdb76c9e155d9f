"""The query API as a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from infra.settings import Settings

ROOT = Path(__file__).parents[2]
SERVE = "from infra.settings import load_settings; from query_api.app import run; run(load_settings())"
START_S = 20.0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def until_healthy(url: str) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"not healthy after {START_S} s")


def test_it_serves_without_its_stores_and_ends_cleanly_on_sigterm(settings: Settings) -> None:
    port = free_port()
    environment = {
        **os.environ,
        "PLAYHEAD_STATE_DIR": str(settings.state_dir),
        "PLAYHEAD_QUERY_PORT": str(port),
        "PLAYHEAD_POSTGRES_DSN": settings.postgres_dsn,
        "PLAYHEAD_CASSANDRA_PORT": str(settings.cassandra_port),
        "PLAYHEAD_REDIS_URL": settings.redis_url,
    }
    process = subprocess.Popen([sys.executable, "-c", SERVE], cwd=ROOT, env=environment)
    try:
        until_healthy(f"http://127.0.0.1:{port}")
        assert httpx.get(f"http://127.0.0.1:{port}/docs").status_code == 200
        assert httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 503
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.wait()
