"""Players that do anything, over a network that does anything, against an oracle that sees what really happened."""

from functools import partial
from typing import cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from projections.playback.playback_sessions import PlaybackSessions
from tests.players.machine import Players, Untrue
from tests.players.mutants import MUTANTS, Mutant

STEPS = 10_000
EVENING = settings(
    stateful_step_count=200,
    derandomize=True,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
MET = {
    **{f"in the end {state}": 5 for state in ("playing", "paused", "buffering", "ended", "expired", "terminated")},
    **{f"exit by {reason}": 5 for reason in ("completed", "stopped", "error", "expired", "terminated")},
    **dict.fromkeys(("seeked", "buffering_ended", "ad_break_ended", "bitrate_changed", "resumed"), 20),
    **dict.fromkeys(("session", "duplicate", "clock hours wrong", "stall", "no first frame", "bookmark"), 50),
    "hole": 3,
}
"""What the evenings must have shown at least, to mean anything: far less than they do, since hypothesis chooses others
whenever the code changes."""


def evenings(config: pytest.Config, examples: int) -> settings:
    """`--hypothesis-seed=<n>` (or =random) explores other evenings than those that every run takes."""
    Players.steps = 0
    Players.met.clear()
    if config.getoption("--hypothesis-seed") is None:
        return settings(EVENING, max_examples=examples, phases=(Phase.generate,))  # shrinking takes minutes
    return settings(EVENING, max_examples=examples, phases=(Phase.generate, Phase.shrink), derandomize=False)


def test_the_views_hold_the_truth_whatever_players_and_networks_do(pytestconfig: pytest.Config) -> None:
    taken = evenings(pytestconfig, 85)
    run_state_machine_as_test(Players, settings=taken)
    assert Players.steps >= STEPS
    missed = {what: Players.met[what] for what, least in MET.items() if Players.met[what] < least}
    assert missed == {} or not taken.derandomize


def test_what_comes_for_a_hole_that_was_given_up_is_history_only(pytestconfig: pytest.Config) -> None:
    most_waiting = 3
    view = partial(PlaybackSessions, reorder_window=most_waiting)
    machine = cast(type[Players], partial(Players, view, most_waiting))
    run_state_machine_as_test(machine, settings=evenings(pytestconfig, 12))
    assert Players.met["too late"] >= 5


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_oracle_catches_a_summary_that_is_wrong(mutant: type[Mutant]) -> None:
    with pytest.raises(Untrue):
        run_state_machine_as_test(
            cast(type[Players], partial(Players, mutant)),
            settings=settings(EVENING, max_examples=100, phases=(Phase.generate,)),
        )
