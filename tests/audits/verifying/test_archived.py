"""What is done to the archive's files and to its manifest is found, and named for what it is."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from audits.verifying.archived import Archived, Signed
from audits.verifying.checkpoints import Stored
from audits.verifying.findings import Finding, Kind
from audits.verifying.keys import SigningKeys
from infra.archive.compacting import compact
from infra.archive.manifest import ArchivedFile
from infra.archive.store import Archive
from tests.audits.verifying.archives import (
    PARTITION,
    TOPIC,
    add,
    archive_in,
    checkpoint,
    record,
    rewrite,
    settings_in,
    with_column,
    with_record,
)

SPANS = [(0, 9), (10, 24), (25, 40), (41, 45)]


@pytest.fixture
def checkpointed(tmp_path: Path) -> list[Stored]:
    """An archive of four files, the first three of which are held by two checkpoints."""
    archive, keys = archive_in(tmp_path), SigningKeys(settings_in(tmp_path))
    add(archive, *SPANS[0])
    first = checkpoint(archive, keys)
    add(archive, *SPANS[1])
    add(archive, *SPANS[2])
    second = checkpoint(archive, keys, first)
    add(archive, *SPANS[3])
    return [first, second]


@pytest.fixture
def archive(tmp_path: Path, checkpointed: list[Stored]) -> Archive:
    return archive_in(tmp_path)


@pytest.fixture
def files(archive: Archive) -> list[ArchivedFile]:
    return archive.files(TOPIC, PARTITION)


def examined(archive: Archive, checkpointed: list[Stored] | None = None, after: int = 0) -> list[Finding]:
    signed = [Signed(each.checkpoint.number, each.checkpoint.ranges[0]) for each in checkpointed or ()]
    check = Archived(Archive.open(archive.settings), TOPIC, PARTITION, signed)
    return [finding for step in check.steps(after) for finding in step.findings]


def told(found: list[Finding]) -> list[tuple[Kind, str, int | None]]:
    return [(finding.kind, finding.what, finding.offset) for finding in found]


def test_of_what_nobody_touched_nothing_is_said(archive: Archive, checkpointed: list[Stored]) -> None:
    assert examined(archive, checkpointed) == []
    assert examined(archive, checkpointed, after=10) == []


def test_compaction_changes_nothing_that_was_signed(
    archive: Archive, files: list[ArchivedFile], checkpointed: list[Stored]
) -> None:
    compact(archive, files[:3])
    assert len(archive.files(TOPIC, PARTITION)) == 2
    assert examined(archive, checkpointed) == []
    for file in files[:3]:
        archive.files_of_store.remove(file.path)
    for file in files[1:3]:
        archive.entries.forget(file.entry)
    assert examined(archive, checkpointed) == []
    (large, _) = archive.files(TOPIC, PARTITION)
    rewrite(archive, large, with_column("value", 12, b"{}"), hiding=True)
    found = examined(archive, checkpointed)
    assert [(each.offset, each.last) for each in found if each.kind is Kind.REWRITTEN] == [(10, 40)]


def test_all_records_come_in_their_order(archive: Archive, checkpointed: list[Stored]) -> None:
    steps = list(Archived(archive, TOPIC, PARTITION, []).steps())
    records = [found for step in steps for found in step.records]
    assert [found.offset for found in records] == list(range(46))
    assert records[7] == (7, 8, record(7).key, record(7).value)
    assert [step.end for step in steps if step.end is not None] == [10, 25, 41, 46]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("type", "catalog.SeasonRemoved.v1"),
        ("stream", None),
        ("sequence", 99),
        ("account_id", "account-1"),
        ("recorded_time", datetime(2026, 1, 1, tzinfo=UTC)),
        ("history_time", datetime(2026, 11, 1, 0, 0, 13, tzinfo=UTC)),
    ],
)
@pytest.mark.parametrize("hiding", [True, False])
def test_a_column_that_does_not_say_what_the_value_says_is_named(
    archive: Archive, files: list[ArchivedFile], column: str, value: object, hiding: bool
) -> None:
    rewrite(archive, files[1], with_column(column, 4, value), hiding=hiding)
    found = examined(archive)
    assert (Kind.FLIPPED, f"column {column}", 14) in told(found)
    assert sum(finding.what.startswith("column") for finding in found) <= 2
    assert ((Kind.REPLACED, "file", 10) in told(found)) is not hiding
    named = next(finding for finding in found if finding.what == f"column {column}")
    assert (named.position, named.event_id) == (15, msgspec.json.decode(record(14).value or b"")["id"])


@pytest.mark.parametrize("column", ["value", "key"])
def test_a_flipped_value_or_key_changes_the_root_that_the_manifest_names(
    archive: Archive, files: list[ArchivedFile], column: str
) -> None:
    rewrite(archive, files[1], with_column(column, 4, b"{}"), hiding=False)
    kinds = told(examined(archive))
    assert (Kind.REPLACED, "file", 10) in kinds
    assert (Kind.FLIPPED, "records of the file (Merkle root)", 10) in kinds


@pytest.mark.parametrize("index", [0, 1, 2])
def test_history_that_was_rewritten_with_its_digests_is_not_what_a_checkpoint_signed(
    archive: Archive, files: list[ArchivedFile], checkpointed: list[Stored], index: int
) -> None:
    offset = SPANS[index][0] + 3
    other = record(offset)._replace(value=(record(offset).value or b"").replace(b'"data"', b'"date"'))
    rewrite(archive, files[index], with_record(offset, other), hiding=True)
    assert examined(archive) == []
    (found,) = examined(archive, checkpointed)
    assert (found.kind, found.offset, found.last) == (Kind.REWRITTEN, *[(0, 9), (10, 40), (10, 40)][index])


def test_two_events_that_changed_places_are_not_what_a_checkpoint_signed(
    archive: Archive, files: list[ArchivedFile], checkpointed: list[Stored]
) -> None:
    one, other = record(12)._replace(offset=13), record(13)._replace(offset=12)
    rewrite(archive, files[1], with_record(12, other), hiding=True)
    rewrite(archive, archive.files(TOPIC, PARTITION)[1], with_record(13, one), hiding=True)
    assert Kind.REWRITTEN in {found.kind for found in examined(archive, checkpointed)}


def test_a_record_that_was_taken_out_or_put_in_is_named_by_its_offset(
    archive: Archive, files: list[ArchivedFile]
) -> None:
    rewrite(archive, files[1], with_record(14, None), hiding=True)
    assert told(examined(archive)) == [(Kind.REMOVED, "records", 14)]

    def twice(table: pa.Table) -> pa.Table:
        return pa.concat_tables([table.slice(0, 3), table.slice(2)])

    rewrite(archive, files[2], twice, hiding=True)
    assert (Kind.INSERTED, "record", 27) in told(examined(archive))


def test_a_file_that_lost_its_end_is_truncated(archive: Archive, files: list[ArchivedFile]) -> None:
    rewrite(archive, files[1], lambda table: table.slice(0, 12), hiding=False)
    assert (Kind.TRUNCATED, "records of the file", 10) in told(examined(archive))


def test_a_file_that_is_gone_or_cannot_be_read_is_named_and_those_after_it_are_checked(
    archive: Archive, files: list[ArchivedFile], checkpointed: list[Stored]
) -> None:
    store = archive.files_of_store
    store.remove(files[1].path)
    rewrite(archive, files[3], with_column("sequence", 0, 5), hiding=True)
    assert told(examined(archive, checkpointed)) == [(Kind.REMOVED, "file", 10), (Kind.FLIPPED, "column sequence", 41)]
    store.create(files[1].path, b"PAR1 and nothing more")
    assert told(examined(archive, checkpointed))[:2] == [
        (Kind.REPLACED, "file", 10),
        (Kind.FLIPPED, "file, which cannot be read", 10),
    ]


def test_one_flipped_bit_anywhere_in_a_file_is_found(archive: Archive, files: list[ArchivedFile]) -> None:
    store, whole = archive.files_of_store, archive.files_of_store.read(files[1].path)
    for at in range(0, len(whole), len(whole) // 40):
        flipped = bytearray(whole)
        flipped[at] ^= 4
        store.remove(files[1].path)
        store.create(files[1].path, bytes(flipped))
        assert told(examined(archive))[0] == (Kind.REPLACED, "file", 10)


def test_a_removed_manifest_entry_leaves_a_hole(
    archive: Archive, files: list[ArchivedFile], checkpointed: list[Stored]
) -> None:
    archive.entries.forget(files[1].entry)
    found = examined(archive, checkpointed)
    assert told(found)[0] == (Kind.REMOVED, "manifest entry", 10)
    assert found[0].last == 24


def test_a_tail_that_is_shorter_than_a_checkpoint_says_is_truncated(
    archive: Archive, files: list[ArchivedFile], checkpointed: list[Stored]
) -> None:
    for file in files[2:]:
        archive.entries.forget(file.entry)
    found = examined(archive, checkpointed)[-1]
    assert (found.kind, found.offset, found.last) == (Kind.TRUNCATED, 25, 40)
    assert found.expected == "checkpoint 2 holds it to offset 40"


@pytest.mark.parametrize(("field", "value"), [("sha256", "0" * 64), ("root", "0" * 64), ("rows", 3), ("last", 23)])
def test_a_changed_manifest_entry_is_found(
    archive: Archive, files: list[ArchivedFile], field: str, value: object
) -> None:
    archive.entries.forget(files[1].entry)
    changed = msgspec.structs.replace(files[1], **{field: value})
    assert archive.entries.create(changed)
    assert examined(archive) != []


def test_what_is_no_entry_is_named(archive: Archive, files: list[ArchivedFile]) -> None:
    archive.files_of_store.remove(files[1].entry)
    archive.files_of_store.create(files[1].entry, b"{")
    assert told(examined(archive))[0] == (Kind.FLIPPED, "manifest entry", 10)
