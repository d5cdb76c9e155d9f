"""Bulk import into the real log: what a file says is so afterwards, once, whatever interrupted it."""

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from commands.catalog.importing.importer import Bounds, Progress
from commands.catalog.importing.lines import title_id_of
from commands.catalog.importing.opening import beside, opened
from events.registry import REGISTRY
from infra.postgres import Pool
from infra.settings import Settings, environment_of_child
from tests.commands.catalog.importing.examples import episode, film, series

pytestmark = pytest.mark.integration

SOME_LINES_NOTED = 2_000
"""Bytes of a state file that is begun and not ended."""


@pytest.fixture
def run() -> str:
    """What the external ids of a test begin with."""
    return uuid4().hex[:12]


def written(directory: Path, lines: list[Any]) -> Path:
    file = directory / "titles.jsonl"
    encoded = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("\n".join(encoded) + "\n")
    return file


async def imported(live: Settings, file: Path, **bounds: int) -> Progress:
    async with opened(live, file, Bounds(**bounds)) as importer:
        return await importer.run(file)


def errors_of(file: Path) -> list[dict[str, Any]]:
    errors = beside(file, ".errors.jsonl")
    found = [json.loads(line) for line in errors.read_text().splitlines()] if errors.exists() else []
    return sorted(found, key=lambda error: int(error["line"]))


async def recorded(postgres: Pool, external_id: str) -> list[Any]:
    stream = f"catalog.title-{title_id_of(external_id)}"
    bodies = await postgres.fetch("select body from event_log where stream_id = $1 order by version", stream)
    return [REGISTRY.decode(row["body"]).data for row in bodies]


def names(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


async def test_a_file_is_imported_once_and_a_change_is_a_revision(
    live: Settings, postgres: Pool, tmp_path: Path, run: str
) -> None:
    lines = [film(f"{run}-a"), series(f"{run}-s"), episode("e1", series=f"{run}-s", number=1)]
    file = written(tmp_path, lines)
    first, again = await imported(live, file), await imported(live, file)
    assert (first.taken, first.events, first.failed) == (3, 4, 0)
    assert (again.taken, again.skipped, again.events) == (0, 3, 0)
    written(tmp_path, [film(f"{run}-a", genres=["drama"]), *lines[1:]])
    changed = await imported(live, file)
    assert (changed.taken, changed.skipped, changed.events) == (1, 2, 1)
    assert names(await recorded(postgres, f"{run}-a")) == ["TitlePublished", "TitleRevised"]
    beside(file, ".state").unlink()
    forgotten = await imported(live, file)
    assert (forgotten.taken, forgotten.events) == (3, 0)


async def test_lines_may_come_before_what_they_need(live: Settings, postgres: Pool, tmp_path: Path, run: str) -> None:
    lines = [
        film(f"{run}-1", next_title=f"{run}-2"),
        *(episode(f"e{number}", series=f"{run}-s", number=number) for number in range(1, 40)),
        film(f"{run}-2", next_title=f"{run}-3"),
        series(f"{run}-s", seasons=[{"season_number": 1, "name": "Low Tide"}]),
        film(f"{run}-3"),
    ]
    progress = await imported(live, written(tmp_path, lines))
    assert (progress.taken, progress.failed) == (len(lines), 0)
    in_series = await recorded(postgres, f"{run}-s")
    assert names(in_series)[:2] == ["TitlePublished", "SeasonAdded"]
    assert in_series[1].name == "Low Tide"
    assert (await recorded(postgres, f"{run}-1"))[0].details.next_title_id == title_id_of(f"{run}-2")


async def test_a_line_that_cannot_be_taken_says_why_and_holds_up_no_other(
    live: Settings, tmp_path: Path, run: str
) -> None:
    overlapping = {"availability": [{"territories": ["KR"]}] * 2}
    lines = [
        film(f"{run}-a"),
        "{",
        film(f"{run}-b", **overlapping),
        "",
        film(f"{run}-c", duration_ms=-1),
        film(f"{run}-a"),
        episode("e1", series=f"{run}-nowhere", number=1),
        episode("e1", series=f"{run}-a", number=1),
        film(f"{run}-d", next_title=f"{run}-nowhere"),
        series(f"{run}-s"),
        episode("e1", series=f"{run}-s", number=1),
        episode("e2", series=f"{run}-s", number=1),
        episode("e3", series=f"{run}-s", number=3),
        film(f"{run}-x", next_title=f"{run}-x"),
    ]
    file = written(tmp_path, lines)
    progress = await imported(live, file)
    found = {error["line"]: (error["problem"], error.get("pointer")) for error in errors_of(file)}
    assert found == {
        2: ("malformed-json", None),
        3: ("windows-overlap", "/availability/1"),
        5: ("invalid-request", "/duration_ms"),
        6: ("line-repeated", "/external_id"),
        7: ("series-unknown", None),
        8: ("not-a-series", None),
        9: ("next-title-unknown", "/next_title_id"),
        12: ("episode-number-taken", None),
        14: ("next-title-cycle", None),
    }
    assert (progress.taken, progress.failed) == (4, 9)


async def test_what_waits_is_bounded(live: Settings, tmp_path: Path, run: str) -> None:
    waiting = [episode(f"e{number}", series=f"{run}-s", number=number) for number in range(1, 11)]
    file = written(tmp_path, [*waiting, series(f"{run}-s")])
    progress = await imported(live, file, waiting=4)
    assert (progress.taken, progress.failed) == (5, 6)
    assert {error["problem"] for error in errors_of(file)} == {"series-unknown"}
    again = await imported(live, file)
    assert (again.taken, again.skipped, again.failed) == (6, 5, 0)


async def test_a_file_and_a_line_that_are_too_long_are_refused(live: Settings, tmp_path: Path, run: str) -> None:
    long = film(f"{run}-a", provider_id="p" * 3_000)
    file = written(tmp_path, [long, film(f"{run}-b"), film(f"{run}-c"), film(f"{run}-d")])
    progress = await imported(live, file, lines=3, line_bytes=2_000)
    assert [(error["line"], error["problem"]) for error in errors_of(file)] == [
        (1, "body-too-large"),
        (4, "file-too-long"),
    ]
    assert progress.taken == 2


async def test_the_memory_of_another_log_does_not_count(live: Settings, tmp_path: Path, run: str) -> None:
    file = written(tmp_path, [film(f"{run}-a")])
    await imported(live, file)
    state = beside(file, ".state")
    state.write_text(state.read_text().replace("catalog.title-", "catalog.title-elsewhere-"))
    assert (await imported(live, file)).taken == 1


async def test_an_import_that_is_killed_goes_on_and_does_nothing_twice(
    live: Settings, postgres: Pool, tmp_path: Path, run: str
) -> None:
    lines = [film(f"{run}-{number}") for number in range(3_000)]
    file = written(tmp_path, lines)
    environment = environment_of_child(state_dir=live.state_dir, postgres_dsn=live.postgres_dsn)
    command = (sys.executable, "-m", "playhead", "catalog", "import", str(file))
    killed = await asyncio.create_subprocess_exec(*command, env=environment)
    state = beside(file, ".state")
    async with asyncio.timeout(20):
        while not state.exists() or state.stat().st_size < SOME_LINES_NOTED:
            await asyncio.sleep(0.002)
    os.kill(killed.pid, signal.SIGKILL)
    assert await killed.wait() == -signal.SIGKILL
    went_on = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE)
    said, _ = await went_on.communicate()
    assert went_on.returncode == 0
    skipped = re.search(r"3000 lines .* (\d+) taken before; 0 failed", said.decode())
    assert skipped and 0 < int(skipped[1]) < 3_000
    streams = [f"catalog.title-{title_id_of(line['external_id'])}" for line in lines]
    counts = Counter(
        await postgres.fetchval("select array_agg(stream_id) from event_log where stream_id = any($1)", streams)
    )
    assert (len(counts), set(counts.values())) == (3_000, {1})


async def test_the_command_says_which_lines_failed_and_ends_with_1(live: Settings, tmp_path: Path, run: str) -> None:
    file = written(tmp_path, [film(f"{run}-a"), "{"])
    environment = environment_of_child(state_dir=live.state_dir, postgres_dsn=live.postgres_dsn)
    command = (sys.executable, "-m", "playhead", "catalog", "import", str(file))
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=PIPE)
    said, complained = await process.communicate()
    assert process.returncode == 1
    assert "1 decided" in said.decode() and "1 failed" in said.decode()
    assert "titles.jsonl.errors.jsonl" in complained.decode()
    away = {**environment, "PLAYHEAD_POSTGRES_DSN": "postgresql://nobody@127.0.0.1:1/none"}
    process = await asyncio.create_subprocess_exec(*command, env=away, stdout=PIPE, stderr=PIPE)
    _, complained = await process.communicate()
    assert (process.returncode, "Postgres did not take it" in complained.decode()) == (1, True)
