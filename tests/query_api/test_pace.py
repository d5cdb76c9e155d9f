"""What a projection applies in a second, from how far it was when somebody looked."""

from query_api.pace import SAMPLES_MAX, Pace

ONE, OTHER = ("playback.events", 0), ("playback.events", 1)


def test_a_first_look_tells_no_pace() -> None:
    assert Pace(30.0).of({ONE: 100}, 1.0) is None


def test_the_pace_is_of_all_partitions_since_the_oldest_look() -> None:
    pace = Pace(30.0)
    pace.of({ONE: 100, OTHER: 0}, 0.0)
    pace.of({ONE: 110, OTHER: 0}, 1.0)
    assert pace.of({ONE: 120, OTHER: 20}, 4.0) == 10.0


def test_what_was_long_ago_counts_no_more() -> None:
    pace = Pace(30.0)
    pace.of({ONE: 0}, 0.0)
    pace.of({ONE: 1_000}, 20.0)
    assert pace.of({ONE: 1_100}, 40.0) == 5.0
    assert pace.of({ONE: 5_000}, 400.0) is None


def test_a_partition_that_is_new_or_was_set_back_counts_nothing() -> None:
    pace = Pace(30.0)
    pace.of({ONE: 100}, 0.0)
    assert pace.of({ONE: 50, OTHER: 7_000}, 10.0) == 0.0


def test_no_more_looks_are_kept_than_may_be() -> None:
    pace = Pace(30.0)
    for look in range(2 * SAMPLES_MAX):
        found = pace.of({ONE: look}, look / 100)
    assert found is not None and round(found) == 100
    assert len(pace._samples) == SAMPLES_MAX
