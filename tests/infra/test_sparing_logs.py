"""A library that repeats itself."""

import logging

import pytest

from infra import sparing_logs
from infra.sparing_logs import QUIET_S, Sparing


def record(name: str = "aiokafka.client", line: int = 1) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "client.py", line, "Kafka is %s", ("away",), None)


def test_a_line_speaks_once_in_a_while_and_then_says_what_it_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(sparing_logs, "monotonic_s", lambda: now_s)
    sparing = Sparing("aiokafka")
    assert [sparing.filter(record()) for _ in range(4)] == [True, False, False, False]
    assert sparing.filter(record(line=2))
    now_s += QUIET_S
    after = record()
    assert sparing.filter(after)
    assert after.getMessage() == "Kafka is away (and 3 times more)"


def test_our_own_lines_always_pass() -> None:
    sparing = Sparing("aiokafka")
    assert all(sparing.filter(record(name="infra.telemetry")) for _ in range(3))
