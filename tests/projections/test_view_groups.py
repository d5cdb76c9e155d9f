"""What is rebuilt together, whose folds agree, and which steps a version takes: without a server."""

import pytest

from infra.settings import Settings
from projections.app import postgres_views
from projections.versions.groups import grouped, projection_of, table_of
from projections.versions.registry import STEPS, State, agree
from projections.views import AggregateView

VIEWS = postgres_views(Settings())


def test_what_is_added_up_of_a_view_is_rebuilt_with_it() -> None:
    together = [view.name for group in grouped(VIEWS).values() for view in group.views]
    assert sorted(together) == sorted(view.name for view in VIEWS)
    added_up = {
        view.name for view in VIEWS if isinstance(view, AggregateView) and view.source.name == "playback_sessions"
    }
    assert {view.name for view in grouped(VIEWS)["playback_sessions"].aggregates} == added_up


def test_a_version_has_a_table_and_checkpoints_of_its_own() -> None:
    assert table_of("subscriptions", 3) == "subscriptions__v3"
    assert projection_of("subscriptions", 3) == "postgres/subscriptions@3"


@pytest.mark.parametrize(
    ("held", "ours", "same"),
    [
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"a": 1, "b": 1}, True),
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, False),
    ],
)
def test_folds_agree_when_every_view_that_both_know_has_the_same(
    held: dict[str, int], ours: dict[str, int], same: bool
) -> None:
    assert agree(held, ours) is same


def test_a_live_version_is_dropped_only_after_another_took_its_place() -> None:
    assert STEPS[State.LIVE] == {State.READY}
    assert [state for state, steps in STEPS.items() if State.LIVE in steps] == [State.READY]
    assert STEPS[State.RETIRED] == frozenset()
