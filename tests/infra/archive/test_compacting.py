"""Small files become larger ones, and nothing is lost or doubled whoever stops between which steps."""

from datetime import UTC, date, datetime, timedelta

import pytest

from infra.archive.compacting import CompactLimits, compact, due, tidy
from infra.archive.errors import ArchiveDamaged
from infra.archive.layout import COMPACTED
from infra.archive.manifest import ArchivedFile
from infra.archive.merkle import leaf, root
from infra.archive.store import Archive
from infra.archive.sweeping import sweep
from infra.archive.writing import PlaceTaken, write_file
from infra.clock import utc_now
from tests.infra.archive.history import EVENING, TOPIC, record, records

NEXT_DAY = date(2026, 11, 21)
SAME_DAY = date(2026, 11, 20)
LIMITS = CompactLimits(records=100, bytes=1_000_000, files=4)


def written(archive: Archive, ends: list[int], first: int = 0) -> list[ArchivedFile]:
    """A file up to each of these offsets."""
    files = []
    for end in ends:
        files.append(write_file(archive, records(first, end)))
        first = end
    return files


def later(days: float = 2) -> datetime:
    """When what nobody needs is old enough to go."""
    return utc_now() + timedelta(days=days)


def offsets(archive: Archive) -> list[int]:
    """What it holds."""
    return [each.offset for each in archive.records(TOPIC, 0, first=0)]


def test_a_day_that_is_past_becomes_one_file_with_the_same_root(archive: Archive) -> None:
    small = written(archive, [10, 15, 30])
    before = list(archive.records(TOPIC, 0, first=0))

    assert tidy(archive, later) == (1, 3)

    [large] = archive.files(TOPIC, 0)
    leaves = [leaf(TOPIC, 0, each.offset, each.position, each.key, each.value) for each in before]
    assert list(archive.records(TOPIC, 0, first=0)) == before
    assert (large.level, large.first, large.last, large.rows) == (COMPACTED, 0, 29, 30)
    assert large.root == root(leaves).hex()
    assert large.uncompressed_bytes == sum(each.uncompressed_bytes for each in small)
    archive.check(large)


def test_what_was_superseded_stays_for_who_reads_it(archive: Archive) -> None:
    small = written(archive, [10, 20])

    assert tidy(archive, utc_now)[1] == 0

    for file in small:
        archive.check(file)


@pytest.mark.parametrize(
    ("today", "files", "runs"),
    [
        (SAME_DAY, 3, []),
        (SAME_DAY, 4, [4]),
        (NEXT_DAY, 2, [2]),
        (NEXT_DAY, 1, []),
        (SAME_DAY, 23, [10, 10]),
        (NEXT_DAY, 23, [10, 10, 3]),
    ],
)
def test_a_run_is_due_when_its_day_is_past_or_it_is_long(
    archive: Archive, today: date, files: int, runs: list[int]
) -> None:
    found = due(written(archive, [10 * (each + 1) for each in range(files)]), LIMITS, today)

    assert [len(run) for run in found] == runs


def test_a_run_ends_with_its_day_and_before_what_kafka_had_lost(archive: Archive) -> None:
    tomorrow = EVENING + timedelta(days=1)
    files = [
        *written(archive, [5, 10]),
        write_file(archive, [record(10, at=tomorrow)]),
        write_file(archive, [record(11, at=tomorrow)]),
        write_file(archive, [record(15, at=tomorrow)], follows=12),
        write_file(archive, [record(16, at=tomorrow)]),
    ]

    runs = list(due(files, LIMITS, NEXT_DAY + timedelta(days=1)))

    assert [[each.first for each in run] for run in runs] == [[0, 5], [10, 11], [15, 16]]


def test_the_archive_goes_on_after_a_compaction(archive: Archive) -> None:
    written(archive, [10, 20])
    tidy(archive, later)
    written(archive, [30, 40], first=20)
    tidy(archive, later)

    assert offsets(archive) == list(range(40))
    assert [file.level for file in archive.files(TOPIC, 0)] == [COMPACTED, COMPACTED]


def test_of_two_compactions_of_the_same_one_wins(archive: Archive) -> None:
    files = written(archive, [10, 20, 30])
    compact(archive, files[:2])

    with pytest.raises(PlaceTaken):
        compact(archive, files)

    sweep(archive, later())
    assert offsets(archive) == list(range(30))


def test_compactions_that_overlap_leave_everything_once(archive: Archive) -> None:
    files = written(archive, [10, 20, 30, 40])
    compact(archive, files[:3])
    compact(archive, files[1:])  # by one that had not seen it

    assert offsets(archive) == list(range(40))
    sweep(archive, later())
    assert offsets(archive) == list(range(40))


def test_a_compaction_that_was_killed_before_its_entry_leaves_the_small_files(archive: Archive) -> None:
    files = written(archive, [10, 20])
    made = compact(archive, files)
    archive.entries.forget(made.entry)

    assert archive.files(TOPIC, 0) == files
    assert sweep(archive, later()) == 1
    assert offsets(archive) == list(range(20))
    assert tidy(archive, later) == (1, 2)
    assert offsets(archive) == list(range(20))


def test_a_sweep_that_was_killed_between_entry_and_data_is_done_by_the_next(archive: Archive) -> None:
    files = written(archive, [10, 20])
    compact(archive, files)
    archive.entries.forget(files[0].entry)

    assert sweep(archive, later()) == 2
    assert offsets(archive) == list(range(20))


def test_a_writer_that_slept_until_its_place_was_compacted_and_swept_writes_nothing(archive: Archive) -> None:
    written(archive, [10, 20])
    tidy(archive, later)

    with pytest.raises(PlaceTaken):
        write_file(archive, records(10, 13))

    assert offsets(archive) == list(range(20))


def test_what_a_killed_writer_left_goes_once_the_archive_has_gone_past_it(archive: Archive) -> None:
    lost = write_file(archive, records(0, 7))
    archive.entries.forget(lost.entry)
    write_file(archive, records(0, 3))
    stays = write_file(archive, records(3, 9))
    archive.entries.forget(stays.entry)

    assert sweep(archive, later()) == 1  # the other one's place is still free: it may get its entry yet
    written(archive, [9], first=3)
    assert offsets(archive) == list(range(9))


def test_a_damaged_file_is_not_made_good_by_compacting_it(archive: Archive) -> None:
    files = written(archive, [10, 20])
    content = archive.files_of_store.read(files[0].path)
    archive.files_of_store.remove(files[0].path)
    archive.files_of_store.create(files[0].path, content[:-1] + b"\x00")

    with pytest.raises(ArchiveDamaged):
        compact(archive, files)
    assert tidy(archive, later) == (0, 0)
    assert archive.files(TOPIC, 0) == files


def test_nothing_superseded_goes_while_what_took_its_place_is_damaged(archive: Archive) -> None:
    files = written(archive, [10, 20])
    made = compact(archive, files)
    archive.files_of_store.remove(made.path)

    assert sweep(archive, later()) == 0
    archive.entries.forget(made.entry)
    assert offsets(archive) == list(range(20))


def test_what_is_younger_than_the_grace_period_stays(archive: Archive) -> None:
    compact(archive, written(archive, [10, 20]))

    assert sweep(archive, datetime.now(UTC) + timedelta(hours=1)) == 0
