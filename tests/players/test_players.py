"""Players that do anything, over a network that does anything, against an oracle that sees what really happened."""

from functools import partial
from typing import cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

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
    **{f"exit by {reason}": 15 for reason in ("completed", "stopped", "error", "expired", "terminated")},
    **dict.fromkeys(("seeked", "buffering_ended", "ad_break_ended", "bitrate_changed", "resumed"), 30),
    **dict.fromkeys(("session", "duplicate", "clock hours wrong", "stall", "no first frame", "bookmark"), 100),
    "hole": 50,
}
"""What an hour of players must have shown at least, for the run to mean anything."""


def test_the_views_hold_the_truth_whatever_players_and_networks_do(pytestconfig: pytest.Config) -> None:
    """`--hypothesis-seed=<n>` (or =random) explores other evenings than those that every run takes."""
    Players.steps = 0
    Players.met.clear()
    explores = pytestconfig.getoption("--hypothesis-seed") is not None
    phases = (Phase.generate, Phase.shrink) if explores else (Phase.generate,)  # shrinking takes minutes
    evenings = settings(EVENING, max_examples=100, derandomize=not explores, phases=phases)
    run_state_machine_as_test(Players, settings=evenings)
    assert Players.steps >= STEPS
    assert explores or {what: Players.met[what] for what, least in MET.items() if Players.met[what] < least} == {}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_oracle_catches_a_summary_that_is_wrong(mutant: type[Mutant]) -> None:
    with pytest.raises(Untrue):
        run_state_machine_as_test(
            cast(type[Players], partial(Players, mutant)),
            settings=settings(EVENING, max_examples=100, phases=(Phase.generate,)),
        )
