"""Under which names views are read: without a store."""

from collections.abc import Callable

import pytest

from infra.live_views import Keeper, LiveView, name_in_redis, table_in_cassandra
from query_api.checkpoints import least
from query_api.live_views import LiveNames, in_live
from query_api.playback import session_timeline, viewers, watch_history

KEPT_S = 0.5


class Clock:
    """Stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def names(clock: Clock, name_of: Callable[[str, int], str] = name_in_redis) -> LiveNames:
    return LiveNames("redis", name_of, KEPT_S, clock=clock)


def test_what_is_known_is_used_for_as_long_as_the_setting_says() -> None:
    clock = Clock()
    known = names(clock)
    due = [known.is_due]
    known.learn({}, clock.now_s)
    for _ in range(2):
        clock.now_s += KEPT_S / 2
        due.append(known.is_due)
    assert due == [True, False, True]


def test_what_was_asked_long_ago_is_as_old_as_that() -> None:
    clock = Clock()
    known = names(clock)
    known.learn({}, clock.now_s - KEPT_S)
    assert known.is_due


def test_only_views_whose_first_version_is_not_live_have_other_names() -> None:
    known = names(Clock())
    one, two = LiveView(1, Keeper.PROJECTION, 1), LiveView(2, Keeper.PROJECTION, 1)
    known.learn({"account_holdings": one, "continue_watching": two}, 0)
    assert known.renamed == {"continue_watching": "continue_watching@2"}


@pytest.mark.parametrize(("keeper", "kept"), [(Keeper.PROJECTION, []), (Keeper.BOTH, ["redis/one@2"])])
def test_a_rebuild_that_keeps_a_live_version_is_waited_for(keeper: Keeper, kept: list[str]) -> None:
    known = names(Clock())
    known.learn({"one": LiveView(2, keeper, 1)}, 0)
    assert known.kept_elsewhere() == kept


def test_a_view_is_as_far_as_the_least_of_those_who_keep_its_store() -> None:
    assert least([{0: 7, 1: 9}, {0: 5}, {1: 11}]) == {0: 5, 1: 9}


@pytest.mark.parametrize(
    ("cql", "view"),
    [
        (watch_history.FIRST_OF_MONTH, "watch_history"),
        (watch_history.SAME_MOMENT, "watch_history"),
        (watch_history.EARLIER, "watch_history"),
        (watch_history.REMOVED, "watch_history_removed"),
        (session_timeline.REPORTS, "session_timeline"),
        (session_timeline.RECORDS, "session_cmcd"),
        (viewers.BY_MINUTE, "title_viewers"),
    ],
)
def test_statements_read_the_live_table(cql: str, view: str) -> None:
    renamed = {view: table_in_cassandra(view, 2), "seq": "never"}
    assert in_live(cql, renamed) == cql.replace(f"from {view}", f"from {view}__v2", 1)
    assert in_live(cql, {}) == cql
