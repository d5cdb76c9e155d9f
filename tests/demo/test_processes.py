"""Processes are started again when they end, given up when they keep ending, and found by whoever takes them down."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.settings import Settings
from playhead import processes
from playhead.processes import NAMES, RELAY, Fleet, Process, ProcessFailed


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    chosen = Settings(state_dir=tmp_path, shutdown_grace_s=2)
    yield chosen
    processes.end(chosen)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "RESTART_PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(processes, "WATCH_INTERVAL_S", 0.01)


def fleet(settings: Settings, said: list[str], script: str, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """A fleet of one process, started, that runs a shell script in the place of Python."""
    directory = settings.state_dir
    program = directory / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(program))
    process = Process(RELAY, (RELAY,), 0, {}, directory / "logs" / "relay.log", processes._mark_path(settings, RELAY))
    made = Fleet(settings, said.append, {RELAY: process})
    process.start()
    return made


async def test_a_killed_process_is_started_again_and_said_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    made = fleet(settings, said, "exec sleep 60", monkeypatch)
    watching = asyncio.create_task(made.watch())
    killed = await asyncio.to_thread(made.kill, RELAY)
    async with asyncio.timeout(5):
        while not said:
            await asyncio.sleep(0.01)
    watching.cancel()
    assert made.processes[RELAY].pid not in (None, killed)
    assert made.processes[RELAY].restarts == 1
    assert said == [f"relay had ended: started again as {made.processes[RELAY].pid}"]


async def test_a_process_that_keeps_ending_is_given_up_with_the_end_of_its_log(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fleet(settings, [], "echo the disk is full", monkeypatch)
    with pytest.raises(ProcessFailed, match=r"(?s)relay ended 3 times in a row.*the disk is full.*`playhead relay`"):
        async with asyncio.timeout(5):
            await made.watch()


def test_processes_are_ended_by_the_marks_that_they_left(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    made = fleet(settings, [], "exec sleep 60", monkeypatch)
    assert processes.end(settings) == [RELAY]
    assert made.processes[RELAY].pid is None
    assert processes.end(settings) == []


def test_every_process_has_a_port_of_its_own_and_the_configured_ones_are_kept(tmp_path: Path) -> None:
    made = list(processes._processes(Settings(state_dir=tmp_path, query_port=28_731)))
    assert {process.name for process in made} == set(NAMES)
    assert len({process.port for process in made}) == len(NAMES)
    assert {process.name: process.port for process in made}[processes.QUERY_API] == 28_731


def test_a_child_is_told_where_everything_is(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, kafka_bootstrap="127.0.0.1:29092")
    for process in processes._processes(settings):
        assert process.environment["PLAYHEAD_KAFKA_BOOTSTRAP"] == "127.0.0.1:29092"
        assert process.environment["PLAYHEAD_STATE_DIR"] == str(tmp_path)
        assert str(process.port) in process.environment.values()
