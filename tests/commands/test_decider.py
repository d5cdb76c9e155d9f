"""What every decider's state must bear."""

from commands.catalog.decider import CATALOG
from tests.builders import episode_published, season_added, series_published


def test_a_state_comes_back_from_its_snapshot_as_it_was() -> None:
    events = [built.data for built in (series_published(), season_added(), episode_published(1), episode_published(2))]
    state = CATALOG.state_after(events, CATALOG.initial)
    assert CATALOG.thaw(CATALOG.freeze(state)) == state
