"""A checkpoint that was changed, removed, cut off or signed by somebody else is found, and named."""

from pathlib import Path

import pytest

from audits.verifying import checkpoints
from audits.verifying.checkpoints import path_of
from audits.verifying.findings import Kind
from audits.verifying.keys import PUBLISHED, SigningKeys
from audits.verifying.signed import sign
from infra.archive.files import Files
from infra.archive.store import Archive
from tests.audits.verifying.archives import TOPIC, add, archive_in, checkpoint, settings_in


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    return SigningKeys(settings_in(tmp_path))


@pytest.fixture
def archive(tmp_path: Path, keys: SigningKeys) -> Archive:
    """With three checkpoints."""
    archive, before = archive_in(tmp_path), None
    for first in (0, 10, 25):
        add(archive, first, {0: 9, 10: 24, 25: 40}[first])
        before = checkpoint(archive, keys, before)
    return archive


@pytest.fixture
def files(archive: Archive) -> Files:
    return archive.files_of_store


def change(files: Files, number: int, content: bytes) -> None:
    files.remove(path_of(number))
    assert files.create(path_of(number), content)


def examined(files: Files, keys: SigningKeys) -> list[tuple[Kind, str | None]]:
    _, found = checkpoints.examine(files, keys.trusted(), keys.newest())
    return [(finding.kind, finding.file) for finding in found]


def test_of_checkpoints_that_nobody_touched_nothing_is_said(files: Files, keys: SigningKeys) -> None:
    good, found = checkpoints.examine(files, keys.trusted(), keys.newest())
    assert [(each.number, each.ranges[0].first, each.ranges[0].last) for each in good] == [
        (1, 0, 9),
        (2, 10, 24),
        (3, 25, 40),
    ]
    assert found == []


def test_a_changed_one_is_no_longer_what_was_signed(files: Files, keys: SigningKeys) -> None:
    document = files.read(path_of(2))
    for at in (20, len(document) - 20):
        changed = bytearray(document)
        changed[at] ^= 1
        change(files, 2, bytes(changed))
        assert examined(files, keys) == [(Kind.FORGED, path_of(2))]


def test_one_that_is_signed_again_by_another_key_is_forged(files: Files, keys: SigningKeys, tmp_path: Path) -> None:
    strangers = SigningKeys(settings_in(tmp_path / "strangers"))
    change(files, 2, sign(files.read(path_of(2)).partition(b"\n")[0], strangers))
    files.create(f"{PUBLISHED}/{strangers.signing().kid}.json", b"{}")  # lies beside them, and is not trusted
    assert examined(files, keys) == [(Kind.FORGED, path_of(2))]


def test_a_removed_one_is_missing_also_if_it_is_the_newest(files: Files, keys: SigningKeys) -> None:
    files.remove(path_of(3))
    assert examined(files, keys) == [(Kind.TRUNCATED, path_of(3))]
    files.remove(path_of(1))
    assert examined(files, keys) == [(Kind.REMOVED, path_of(1)), (Kind.TRUNCATED, path_of(3))]


def test_one_in_the_place_of_another_does_not_go_on_from_the_one_before(files: Files, keys: SigningKeys) -> None:
    change(files, 2, files.read(path_of(3)))
    assert (Kind.REPLACED, path_of(2)) in examined(files, keys)


def test_one_that_the_owner_of_the_key_made_anew_breaks_the_chain(
    archive: Archive, files: Files, keys: SigningKeys
) -> None:
    first = checkpoints.read(files, 1)
    files.remove(path_of(2))
    checkpoint(archive, keys, first)
    assert (Kind.REPLACED, path_of(3)) in examined(files, keys)


def test_after_a_rotation_what_the_old_key_signed_still_holds(
    archive: Archive, files: Files, keys: SigningKeys, tmp_path: Path
) -> None:
    old = keys.signing().kid
    keys.ring.add()
    keys.ring.remove(old)
    assert old in SigningKeys(settings_in(tmp_path)).trusted()
    add(archive, 41, 45)
    checkpoint(archive, keys, checkpoints.read(files, 3))
    assert keys.signing().kid != old
    assert examined(files, keys) == []
    assert {path.rpartition("/")[2] for path in files.names(PUBLISHED)} == {f"{kid}.json" for kid in keys.trusted()}


def test_the_range_of_each_goes_on_where_the_one_before_ended(
    archive: Archive, files: Files, keys: SigningKeys
) -> None:
    add(archive, 41, 45)
    checkpoint(archive, keys, checkpoints.read(files, 3))
    good, _ = checkpoints.examine(files, keys.trusted())
    assert checkpoints.reached(good[-1]) == {(TOPIC, 3): 46}
