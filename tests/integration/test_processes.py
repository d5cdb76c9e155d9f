"""Processes that serve HTTP from outside: their probes, their logs, and their end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.settings import Settings

pytestmark = pytest.mark.integration

PATIENCE_S = 20


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(params=["commands"])
def process(
    live: Settings, tmp_path: Path, port: int, request: pytest.FixtureRequest
) -> Iterator[subprocess.Popen[str]]:
    """`playhead commands`, or another, against the servers of this run."""
    environment = {
        **os.environ,
        "PLAYHEAD_STATE_DIR": str(tmp_path),
        "PLAYHEAD_KAFKA_BOOTSTRAP": live.kafka_bootstrap,
        "PLAYHEAD_POSTGRES_DSN": live.postgres_dsn,
        "PLAYHEAD_REDIS_URL": live.redis_url,
        f"PLAYHEAD_{request.param.upper()}_PORT": str(port),
    }
    started = subprocess.Popen(
        [sys.executable, "-m", "playhead", request.param], env=environment, stderr=subprocess.PIPE, text=True
    )
    yield started
    started.kill()
    started.wait()


def answer(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def until_ready(port: int) -> None:
    for _ in range(PATIENCE_S * 10):
        try:
            if answer(port, "/ready")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise TimeoutError("not ready")


@pytest.mark.parametrize("process", ["commands", "audits"], indirect=True)
def test_a_process_tells_how_it_is_and_ends_cleanly(process: subprocess.Popen[str], port: int) -> None:
    until_ready(port)
    assert answer(port, "/health") == (200, '{"status":"running"}')
    assert "playhead_http_requests_total" in answer(port, "/metrics")[1]
    process.send_signal(signal.SIGTERM)
    _, logged = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    lines = [json.loads(line) for line in logged.splitlines()]
    assert lines
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)


def test_the_health_command_asks_a_process(process: subprocess.Popen[str], port: int) -> None:
    until_ready(port)
    asked = subprocess.run(
        [sys.executable, "-m", "playhead", "health", f"http://127.0.0.1:{port}"], check=False, capture_output=True
    )
    assert (process.poll(), asked.returncode) == (None, 0)
