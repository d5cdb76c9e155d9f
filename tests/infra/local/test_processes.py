"""What was started is found and ended again; a stranger that got the same process id is left alone."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from infra.local import LocalServerError
from infra.local.processes import (
    Launch,
    Mark,
    birth_of,
    is_running,
    kill,
    read_running,
    run_once,
    spawn,
    stop,
    write_mark,
)


def sleeper(tmp_path: Path, program: str = "import time; print('up', flush=True); time.sleep(60)") -> Mark:
    return spawn(Launch((sys.executable, "-c", program), tmp_path), tmp_path / "out.log")


def wait_for_output(tmp_path: Path) -> None:
    while not (tmp_path / "out.log").read_text():
        os.sched_yield()


def test_a_started_process_runs_in_a_session_of_its_own(tmp_path: Path) -> None:
    mark = sleeper(tmp_path)
    try:
        assert is_running(mark)
        assert os.getsid(mark.pid) == mark.pid
    finally:
        kill(mark)


def test_a_stopped_process_is_gone(tmp_path: Path) -> None:
    mark = sleeper(tmp_path)

    stop(mark, patience_s=10)

    assert not is_running(mark)


def test_a_process_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    mark = sleeper(tmp_path, deaf)
    wait_for_output(tmp_path)

    stop(mark, patience_s=0.1)

    assert not is_running(mark)


def test_the_children_of_a_killed_process_die_with_it(tmp_path: Path) -> None:
    parent = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True);"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    mark = sleeper(tmp_path, parent)
    wait_for_output(tmp_path)
    child = int((tmp_path / "out.log").read_text())

    kill(mark)

    assert birth_of(child) is None


def test_a_recycled_process_id_is_never_signalled(tmp_path: Path) -> None:
    mark = sleeper(tmp_path)
    stranger = replace(mark, birth="another boot/1")
    try:
        stop(stranger, patience_s=0)
        kill(stranger)

        assert not is_running(stranger)
        assert is_running(mark)
    finally:
        kill(mark)


def test_a_remembered_process_is_found_by_another_command(tmp_path: Path) -> None:
    mark = sleeper(tmp_path)
    try:
        write_mark(tmp_path / "run" / "it.json", mark)

        assert read_running(tmp_path / "run" / "it.json") == mark
    finally:
        kill(mark)
    assert read_running(tmp_path / "run" / "it.json") is None


@pytest.mark.parametrize("kept", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "birth": "", "stop_signal": 15}'])
def test_a_broken_memory_is_no_process(tmp_path: Path, kept: str) -> None:
    (tmp_path / "it.json").write_text(kept)

    assert read_running(tmp_path / "it.json") is None


def test_a_process_without_a_known_birth_is_never_ours(tmp_path: Path) -> None:
    (tmp_path / "it.json").write_text(json.dumps({"pid": os.getpid(), "birth": "", "stop_signal": 15}))

    assert read_running(tmp_path / "it.json") is None


def test_a_zombie_counts_as_ended() -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)

    assert birth_of(dead.pid) is None
    dead.wait()


def test_the_signal_to_stop_is_the_one_of_the_launch(tmp_path: Path) -> None:
    tell = "import signal, sys, time; signal.signal(2, lambda *_: sys.exit(0)); print('up', flush=True); time.sleep(60)"
    launch = Launch((sys.executable, "-c", tell), tmp_path, stop_signal=signal.SIGINT)
    mark = spawn(launch, tmp_path / "out.log")
    wait_for_output(tmp_path)

    stop(mark, patience_s=10)

    assert not is_running(mark)
    assert "Traceback" not in (tmp_path / "out.log").read_text()


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="/nowhere/postgres cannot be started"):
        spawn(Launch(("/nowhere/postgres",), tmp_path), tmp_path / "out.log")


def test_a_command_that_fails_is_quoted() -> None:
    with pytest.raises(LocalServerError, match=r"Making tea failed:\n    no water"):
        run_once(["sh", "-c", "echo no water; exit 3"], what="Making tea")


def test_a_command_that_hangs_is_given_up() -> None:
    with pytest.raises(LocalServerError, match="Making tea did not end"):
        run_once(["sleep", "60"], what="Making tea", timeout_s=0.1)


def test_an_old_log_is_rolled_away(tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    with log.open("wb") as grown:
        grown.truncate(33 << 20)

    kill(sleeper(tmp_path))

    assert log.stat().st_size < 1000
    assert (tmp_path / "out.previous.log").exists()
