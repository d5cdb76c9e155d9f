"""Which tables a migration of Cassandra alters: without a server."""

from infra.cassandra import of_versions

TABLES = ["watch_history__v3", "watch_history", "watch_history_removed", "watch_history__vx"]


def test_what_alters_a_views_table_alters_every_version_that_is_there() -> None:
    assert of_versions("ALTER TABLE watch_history add x int", TABLES) == [
        "ALTER TABLE watch_history add x int",
        "ALTER TABLE watch_history__v3 add x int",
    ]


def test_a_view_of_which_the_first_version_was_retired_is_altered_where_it_is() -> None:
    assert of_versions("alter table title_viewers add x int", ["title_viewers__v2"]) == [
        "alter table title_viewers__v2 add x int"
    ]


def test_other_statements_are_left_as_they_are() -> None:
    assert of_versions("create table if not exists one (a int primary key)", TABLES) == [
        "create table if not exists one (a int primary key)"
    ]
