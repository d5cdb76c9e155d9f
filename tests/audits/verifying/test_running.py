"""A verification is done in parts, by one process or several, can be interrupted, and signs what it found. These are of
an archive alone, of a topic that no log is relayed to: no server is asked.
"""

import asyncio
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from audits.verifying import running
from audits.verifying.attributing import attributed
from audits.verifying.findings import Finding, Kind, Store
from audits.verifying.keys import SigningKeys
from audits.verifying.running import NothingToResume, Progress, report_of, status_of
from audits.verifying.signed import NotSigned, opened, sign
from audits.verifying.tasks import Asked, Reached, Run, Task, Update
from infra.archive.store import Archive
from infra.archive.writing import write_file
from infra.settings import Settings
from playhead.audit_verifying import Wanted, run_report, run_verify
from playhead.cli import app
from tests.audits.verifying.archives import archive_in, record, settings_in

TOPIC = "playback.events"
ASKED = Asked(only=(Store.ARCHIVE,))


class Interrupted(Exception):
    """As by Ctrl-C."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Two partitions, of three files each."""
    archive = archive_in(tmp_path)
    for partition in (0, 1):
        for first in (0, 10, 20):
            records = [record(offset, topic=TOPIC, partition=partition) for offset in range(first, first + 10)]
            write_file(archive, [each._replace(position=None) for each in records])
    return archive


async def begun(settings: Settings, *, resume: bool = False) -> Run:
    return await running.begin(settings, ASKED, resume=resume)


def verified(settings: Settings, run: Run, *, jobs: int = 1) -> Run:
    running.verify(settings, run, jobs=jobs, show=lambda *_: None)
    return run


def damage(archive: Archive, partition: int) -> str:
    """Flip a bit of the last file."""
    path = archive.files(TOPIC, partition)[-1].path
    content = bytearray(archive.files_of_store.read(path))
    content[100] ^= 1
    archive.files_of_store.remove(path)
    archive.files_of_store.create(path, bytes(content))
    return path


@pytest.mark.parametrize("jobs", [1, 2])
async def test_each_part_is_verified_once_by_however_many_processes(
    settings: Settings, archive: Archive, jobs: int
) -> None:
    run = await begun(settings)
    await asyncio.to_thread(verified, settings, run, jobs=jobs)
    assert {name: each.done for name, each in run.reached.items()} == {
        f"archive:{TOPIC}:0": 30,
        f"archive:{TOPIC}:1": 30,
        "checkpoints": 0,
    }
    assert (run.failed, status_of(run)) == ([], 0)
    assert not Progress(settings).path.exists()


def test_what_is_found_is_told_with_the_exit_status(
    settings: Settings, archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = Wanted(("archive",), report=tmp_path / "report.json", by="an auditor")
    assert run_verify(settings, wanted) == 0
    assert "60 events in 3 parts of archive, checkpoints: whole" in capsys.readouterr().out
    path = damage(archive, 1)
    assert run_verify(settings, wanted) == 1
    said = capsys.readouterr().out
    assert f"replaced file in {TOPIC} (archive), partition 1, offset 20, to 29, file {path}" in said
    assert run_report(settings, tmp_path / "report.json") == 0
    assert "verified by an auditor on" in capsys.readouterr().out


def test_a_store_that_does_not_answer_leaves_its_part_unchecked(
    settings: Settings, archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    away = settings.model_copy(update={"postgres_dsn": "postgresql://nobody@127.0.0.1:1/none"})
    for offset in (0, 1):
        write_file(archive, [record(offset)])
    assert run_verify(away, Wanted(("archive",))) == 2
    assert "not checked: archive:catalog.events:3: " in capsys.readouterr().out


async def test_an_interrupted_run_is_gone_on_with_where_it_was(settings: Settings, archive: Archive) -> None:
    run = await begun(settings)

    def interrupt(_: Run, update: Update) -> None:
        if update.task == f"archive:{TOPIC}:1" and update.state is not None and update.state["offset"] == 20:
            raise Interrupted

    with pytest.raises(Interrupted):
        await asyncio.to_thread(running.verify, settings, run, jobs=1, show=interrupt)
    damage(archive, 1)
    again = await begun(settings, resume=True)
    assert (again.began, again.resumed) == (run.began, 1)
    reached = {name: (each.done, each.ended, each.resumed) for name, each in again.reached.items()}
    assert reached[f"archive:{TOPIC}:0"] == (30, True, True)
    assert reached[f"archive:{TOPIC}:1"] == (20, False, True)
    await asyncio.to_thread(verified, settings, again)
    assert again.reached[f"archive:{TOPIC}:1"].done == 30
    assert {(found.kind, found.offset) for found in again.findings} >= {(Kind.REPLACED, 20)}
    assert report_of(again, "auditor").interruptions == 1


async def test_there_is_nothing_to_resume_of_a_run_that_ended_or_was_asked_otherwise(
    settings: Settings, archive: Archive
) -> None:
    with pytest.raises(NothingToResume, match="was interrupted"):
        await begun(settings, resume=True)
    Progress(settings).note(await begun(settings), now=True)
    with pytest.raises(NothingToResume, match="something else"):
        await running.begin(settings, Asked(only=(Store.ARCHIVE,), topics=(TOPIC,)), resume=True)
    assert (await begun(settings, resume=True)).resumed == 1


def test_a_report_that_was_changed_is_not_what_was_signed(settings: Settings, tmp_path: Path) -> None:
    keys, file = SigningKeys(settings), tmp_path / "report.json"
    report = report_of(running.empty(ASKED), "auditor")
    document = sign(msgspec.json.encode(report), keys)
    assert msgspec.json.decode(opened(document, keys.trusted()), type=running.Report) == report
    file.write_bytes(document.replace(b"auditor", b"nobody!"))
    assert run_report(settings, file) == 1
    with pytest.raises(NotSigned, match="no key of this installation"):
        opened(document, {})
    with pytest.raises(NotSigned, match="has no signature"):
        opened(b"{}", keys.trusted())


def test_only_so_many_findings_are_told_and_all_are_counted() -> None:
    run = running.empty(ASKED)
    task = "checkpoints"
    run.reached[task] = Reached(task=Task(store=Store.CHECKPOINTS))
    found = [Finding(kind=Kind.FLIPPED, store=Store.CHECKPOINTS, what="signature", offset=each) for each in range(7)]
    run.take(Update(task=task, findings=found[:3]), 5)
    run.take(Update(task=task, findings=found[2:], ended=True), 5)
    assert (run.findings, run.found, status_of(run)) == (found[:5], 7, 1)


def test_what_kafka_and_the_archive_say_alike_against_the_log_is_the_logs() -> None:
    against = Finding(
        kind=Kind.FLIPPED,
        store=Store.KAFKA,
        what="value",
        topic=TOPIC,
        partition=1,
        position=7,
        expected="a",
        found="b",
    )
    also = msgspec.structs.replace(against, store=Store.ARCHIVE, offset=3)
    (said,) = attributed([against, also])
    assert (said.store, said.kind, said.position, said.expected, said.found) == (Store.LOG, Kind.REWRITTEN, 7, "b", "a")
    assert attributed([against]) == [against]


def test_a_record_whose_row_the_log_lost_is_not_said_to_be_put_in() -> None:
    lost = Finding(kind=Kind.REMOVED, store=Store.LOG, what="events", partition=1, position=5, last=7)
    record = Finding(kind=Kind.INSERTED, store=Store.KAFKA, what="record", topic=TOPIC, partition=1, position=6)
    other = msgspec.structs.replace(record, position=8)
    assert attributed([lost, record, other]) == [lost, other]


def test_what_is_asked_for_must_be_known() -> None:
    said = CliRunner().invoke(app, ["audit", "verify", "--only", "logs"])
    assert said.exit_code == 2
    said = CliRunner().invoke(app, ["audit", "checker"])
    assert "def check(proof: dict[str, Any]" in said.output
