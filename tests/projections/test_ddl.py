"""What a declaration prints as a migration."""

from infra.settings import Settings
from projections.app import cassandra_views, redis_views
from projections.identity.devices import Devices
from projections.playback.profile_screen_time import ProfileScreenTimeByHour
from projections.playback.title_viewers import TitleViewers
from projections.stores.ddl import migration_of, table_of
from tests.architecture.test_names import ROOT

SCREEN_TIME = ROOT / "infra" / "migrations" / "postgres" / "versions" / "0025_screen_time.py"


def test_a_migration_is_pasted_rather_than_invented() -> None:
    _, *printed = migration_of(ProfileScreenTimeByHour(), after="0024").splitlines()
    pasted = SCREEN_TIME.read_text().splitlines()
    of_its_time = [line for line in printed if "show_audits" not in line]  # the role came with migration 0027
    assert [line for line in of_its_time if line not in pasted] == []


def test_whose_rows_are_nobody_s_are_behind_no_wall() -> None:
    assert "protect" not in migration_of(TitleViewers(), after="0001")


def test_the_items_of_a_list_are_numbered() -> None:
    assert "record_id bigint generated always as identity" in table_of(Devices())


def test_a_time_series_has_its_bucket_before_its_key() -> None:
    assert "primary key ((title_id, hour, shard), minute, session_id)" in table_of(TitleViewers())
    assert all("text" in table_of(view) for view in cassandra_views(Settings()))


def test_a_hash_needs_no_table() -> None:
    assert {table_of(view).partition(" is ")[2] for view in redis_views(Settings())} == {
        "a hash in Redis: there is nothing to make\n"
    }
