"""What becomes of a table in a backup."""

import pytest

from audits.backups.tables import KEPT, PASSING, is_derived, unclassified
from audits.backups.views import names_of_tables
from infra.settings import Settings

VIEWS = names_of_tables(Settings())


def test_a_table_of_which_nobody_has_decided_is_named() -> None:
    assert unclassified([*KEPT, *VIEWS, *PASSING, "vouchers"], VIEWS) == ["vouchers"]


@pytest.mark.parametrize("table", ["playback_sessions", "playback_sessions__v3", "relay_lease", "stream_snapshot"])
def test_views_and_their_versions_are_made_again(table: str) -> None:
    assert is_derived(table, VIEWS)


def test_nothing_is_both_kept_and_made_again() -> None:
    assert [table for table in KEPT if is_derived(table, VIEWS) or table in PASSING] == []
