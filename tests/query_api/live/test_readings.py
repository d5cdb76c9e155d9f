"""What clients are shown of a sample, and how far they are, as an id."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.live import ids
from query_api.live.readings import TitleViewers, Topic, Viewers, shown

NOW = datetime(2026, 1, 1, 20, 15, tzinfo=UTC)


def viewers(*counts: int, titles_watched: int | None = None) -> Viewers:
    """Of titles t-0, t-1 and so on; of which more are watched than were read."""
    titles = [TitleViewers(f"t-{number}", f"Title {number}", count) for number, count in enumerate(counts)]
    return Viewers(NOW, sum(counts), len(titles) if titles_watched is None else titles_watched, titles)


def titles_of(said: bytes) -> list[tuple[str, int | None]]:
    return [(each.title_id, each.viewers) for each in msgspec.json.decode(said, type=Viewers).titles]


def test_the_most_watched_are_shown_unless_others_are_asked_for() -> None:
    reading = viewers(9, 5, 1)
    assert titles_of(shown(reading, titles=(), most_titles=2)) == [("t-0", 9), ("t-1", 5)]
    assert titles_of(shown(reading, titles=("t-2", "t-0"), most_titles=2)) == [("t-2", 1), ("t-0", 9)]


def test_a_title_that_nobody_watches_has_none_and_one_too_small_to_be_read_is_unknown() -> None:
    assert titles_of(shown(viewers(9), titles=("t-8",), most_titles=2)) == [("t-8", 0)]
    assert titles_of(shown(viewers(9, titles_watched=7), titles=("t-8",), most_titles=2)) == [("t-8", None)]


@given(st.dictionaries(st.sampled_from(Topic), st.integers(0, 10**14)))
def test_an_id_says_how_far_a_client_is_in_each_topic(places: dict[Topic, int]) -> None:
    if places:
        assert ids.read(ids.written(places)) == places


@pytest.mark.parametrize("garbage", ["", "17", "viewers", "viewers=", "viewers=1&x=2", "viewers=-1", "viewers=1" * 99])
def test_what_is_no_id_of_ours_is_one_that_nobody_remembers(garbage: str) -> None:
    assert ids.read(garbage) == dict.fromkeys(Topic, 0)
    assert ids.read(None) == {}
