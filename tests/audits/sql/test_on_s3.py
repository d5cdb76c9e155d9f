"""A query reads an archive in S3 as one in a directory: by the store's own client, without an extension of DuckDB."""

from pathlib import Path

import pytest

from audits.sql.refusals import NotAnswered, OutOfReach
from infra.archive.store import Archive
from tests.audits.sql.archives import archived_in, asked
from tests.builders import playback_started, reported
from tests.infra.archive.conftest import s3_endpoint, s3_settings

__all__ = ["s3_endpoint"]


@pytest.fixture
def archive(s3_endpoint: str, tmp_path: Path) -> Archive:
    archive = Archive.open(s3_settings(s3_endpoint, tmp_path))
    archived_in(archive, [playback_started(), *(reported(seq=seq) for seq in range(1, 4))])
    return archive


def test_what_is_archived_in_s3_is_read(archive: Archive) -> None:
    assert asked(archive, "select type, count(*) from events group by type order by type") == [
        ("playback.PlaybackProgressed.v1", 3),
        ("playback.PlaybackStarted.v1", 1),
    ]
    assert asked(archive, "select data->>'$.session.title.name' from events limit 1") == [("Night of the Living Dead",)]


def test_s3_itself_is_out_of_reach(archive: Archive) -> None:
    bucket = str(archive.settings.archive_location)
    with pytest.raises(OutOfReach):
        asked(archive, f"select * from read_blob('{bucket}/manifest/playback.events/0/0/{0:020d}.json')")


def test_an_object_that_is_gone_is_told(archive: Archive) -> None:
    [file] = archive.files("playback.events", 0)
    archive.files_of_store.remove(file.path)
    with pytest.raises(NotAnswered, match="could not be read"):
        asked(archive, "select id from events")
