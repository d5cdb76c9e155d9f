"""What is brought back is held against what was backed up; and what the archive tells of erasures that came after."""

from pathlib import Path

import pytest

from audits.backups.erasing import erased_since
from audits.backups.filling import Checking
from audits.backups.manifest import BackupRefused, Part, Root
from events.identity import AccountWithdrawn
from events.topics import IDENTITY
from infra.archive.merkle import leaf, root
from infra.archive.records import Record
from tests.audits.sql.archives import archive_of
from tests.builders import envelope, movie_published

TOPIC = "playback.events"
RECORDS = [Record(TOPIC, 0, offset, 0, 0, b"key", b"value-%d" % offset, None, ()) for offset in range(10)]
PART = Part(TOPIC, 0, 0, 10)


def root_of(records: list[Record]) -> Root:
    """As the archive's manifest had it."""
    leaves = [leaf(each.topic, each.partition, each.offset, each.position, each.key, each.value) for each in records]
    return Root(TOPIC, 0, records[0].offset, records[-1].offset, root(leaves).hex())


ROOTS = {(each.topic, each.partition, each.first): each for each in (root_of(RECORDS[:4]), root_of(RECORDS[4:]))}


@pytest.mark.parametrize("size", [1, 3, 10])
def test_records_that_are_those_of_the_backup_pass_however_they_come(size: int) -> None:
    checking = Checking(PART, ROOTS)
    for begin in range(0, len(RECORDS), size):
        checking.take(RECORDS[begin : begin + size])


def test_one_that_was_changed_since_is_told_with_its_file() -> None:
    changed = [*RECORDS[:5], RECORDS[5]._replace(value=b"another"), *RECORDS[6:]]
    with pytest.raises(BackupRefused, match="the records 4 to 9 of the archive are not those of the backup"):
        Checking(PART, ROOTS).take(changed)


def test_records_that_the_backup_does_not_know_are_refused() -> None:
    with pytest.raises(BackupRefused, match="has no root from 1"):
        Checking(PART, ROOTS).take(RECORDS[1:])


async def test_who_was_erased_after_the_backup_is_found_in_the_archive(tmp_path: Path) -> None:
    events = [
        envelope(AccountWithdrawn(account_id="before")),  # type: ignore[arg-type]  # ids are strings
        movie_published(),
        envelope(AccountWithdrawn(account_id="after")),  # type: ignore[arg-type]  # ids are strings
    ]
    archive = archive_of(tmp_path, events)
    ends = {place: archive.end(*place) for place in archive.partitions()}
    assert ends[IDENTITY.name, 0] == 2
    assert await erased_since(archive, [Part(IDENTITY.name, 0, 0, 0)]) == ["after", "before"]
    assert await erased_since(archive, [Part(IDENTITY.name, 0, 0, 1)]) == ["after"]
    assert await erased_since(archive, [Part(IDENTITY.name, 0, 0, 2)]) == []
