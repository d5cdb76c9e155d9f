"""What is looked at before anything is touched."""

from pathlib import Path

import pytest

from audits.backups.manifest import BackupRefused
from audits.backups.restoring import check_counts
from infra.settings import Settings
from tests.audits.backups.test_manifest import backup_in


@pytest.mark.parametrize(
    ("topics", "said"),
    [
        (
            {"catalog.events": 4},
            "catalog.events had 4 partitions, and with these settings has 2: set PLAYHEAD_LOG_PART",
        ),
        ({"playback.events": 4}, "playback.events had 4 partitions, .* set PLAYHEAD_PLAYBACK_PARTITIONS=4"),
    ],
)
def test_other_numbers_of_partitions_are_refused_with_the_setting(
    tmp_path: Path, topics: dict[str, int], said: str
) -> None:
    with pytest.raises(BackupRefused, match=said):
        check_counts(Settings(log_partitions=2, playback_partitions=2), backup_in(tmp_path, topics=topics))


def test_the_same_numbers_of_partitions_and_topics_that_came_since_are_fine(tmp_path: Path) -> None:
    topics = {"catalog.events": 2, "playback.events": 3}
    check_counts(Settings(log_partitions=2, playback_partitions=3), backup_in(tmp_path, topics=topics))
