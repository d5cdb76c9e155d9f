"""What a client that follows samples gets: all of them, in order and once, or word that some are missing."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.live.readings import Reading, Topic, Unavailable
from query_api.live.window import Following, Sample, Step, Why, Window

INTERVAL_MS = 1_000
KEPT = 5
BEHIND_MAX = 3
PROCESSES = 2
READING: Reading = Unavailable(datetime(2026, 1, 1, tzinfo=UTC), Topic.LAG, None, "a test")


def window(*numbers: int, kept: int = KEPT) -> Window:
    """One that got the samples of these intervals."""
    made = Window(kept, INTERVAL_MS)
    for number in numbers:
        made.add(Sample(number * INTERVAL_MS, READING))
    return made


def following(of: Window, after: int | None) -> Following:
    return Following(of, after_ms=None if after is None else after * INTERVAL_MS, behind_max=BEHIND_MAX)


def told(following: Following) -> list[tuple[int, Why | None, int]]:
    """All that is due: the number of each sample, and what stands before it."""
    steps = iter(following.step, None)
    return [(step.sample.at_ms // INTERVAL_MS, step.why, step.skipped) for step in steps]


def test_who_comes_for_the_first_time_gets_the_newest() -> None:
    assert told(following(window(1, 2, 3), None)) == [(3, None, 0)]


def test_who_comes_back_gets_all_that_followed_however_much_it_is() -> None:
    assert told(following(window(1, 2, 3, 4, 5), 1)) == [(number, None, 0) for number in (2, 3, 4, 5)]


def test_who_missed_what_is_not_kept_any_more_is_told_so() -> None:
    assert told(following(window(1, 2, 3, 4, 5, 6, 7), 1)) == [(7, Why.RESET, 0)]
    assert told(following(window(1, 2, 3, 4, 5, 6, 7), 2)) == [(number, None, 0) for number in (3, 4, 5, 6, 7)]


def test_who_comes_from_a_process_that_was_ahead_waits() -> None:
    of = window(1, 2)
    client = following(of, 3)
    assert told(client) == []
    of.add(Sample(3 * INTERVAL_MS, READING))
    assert told(client) == []
    of.add(Sample(4 * INTERVAL_MS, READING))
    assert told(client) == [(4, None, 0)]


@pytest.mark.parametrize("made_up", [0, 100, 10**15])
def test_who_comes_with_what_was_never_sent_is_told_so(made_up: int) -> None:
    assert told(following(window(10, 11), made_up)) == [(11, Why.RESET, 0)]


def test_a_process_that_takes_its_first_sample_goes_on_where_another_left_off() -> None:
    of = window()
    client = following(of, 4)
    assert told(client) == []
    of.add(Sample(5 * INTERVAL_MS, READING))
    assert told(client) == [(5, None, 0)]


def test_who_reads_slowly_gets_the_newest_and_how_many_were_left_out() -> None:
    of = window(1)
    client = following(of, None)
    assert told(client) == [(1, None, 0)]
    for number in (2, 3, 4, 5):
        of.add(Sample(number * INTERVAL_MS, READING))
    assert told(client) == [(5, Why.SKIPPED, 3)]


def test_an_interval_in_which_none_was_taken_has_the_one_that_came_after() -> None:
    of = window(2)
    client = following(of, 2)
    of.add(Sample(4 * INTERVAL_MS, READING))
    assert told(client) == [(3, None, 0), (4, None, 0)]


def test_after_a_long_gap_nobody_is_told_that_all_is_there() -> None:
    of = window(2, 3)
    client = following(of, 3)
    of.add(Sample(9 * INTERVAL_MS, READING))
    assert told(client) == [(9, Why.RESET, 0)]


def test_a_clock_that_was_put_back_begins_anew() -> None:
    of = window(102, 103)
    client = following(of, 103)
    of.add(Sample(9 * INTERVAL_MS, READING))
    assert told(client) == [(9, Why.RESET, 0)]


@dataclass
class Client:
    """A client, and all that it was sent."""

    got: list[Step] = field(default_factory=list)
    here: Following | None = None

    @property
    def last_ms(self) -> int | None:
        return self.got[-1].sample.at_ms if self.got else None

    def connect(self, to: Window) -> None:
        self.here = Following(to, after_ms=self.last_ms, behind_max=BEHIND_MAX)

    def read(self) -> None:
        """Take what is due; checks that it follows what came before."""
        assert self.here is not None
        before_ms, step = self.last_ms, self.here.step()
        if step is None:
            return
        self.got.append(step)
        missed = 0 if before_ms is None else (step.sample.at_ms - before_ms) // INTERVAL_MS - 1
        if step.why is Why.RESET:
            assert missed != 0, "nothing was missing"
        else:
            assert missed == step.skipped


TimePasses = tuple[bool, ...]
"""Another interval, in which some of the processes take a sample."""
Connects = int
"""The client, to one of them."""
ReadsOne = None


@given(
    st.lists(st.one_of(st.tuples(*[st.booleans()] * PROCESSES), st.integers(0, PROCESSES - 1), st.none()), max_size=60)
)
def test_a_client_gets_every_sample_or_word_of_a_gap_whatever_it_is_connected_to(
    happenings: list[TimePasses | Connects | None],
) -> None:
    processes = [window() for _ in range(PROCESSES)]
    client, number = Client(), 100
    client.connect(processes[0])
    for happening in [*happenings, (True,) * PROCESSES, *[ReadsOne] * KEPT]:
        match happening:
            case int():
                client.connect(processes[happening])
            case None:
                client.read()
            case sampling:
                number += 1
                for process in (each for each, samples in zip(processes, sampling, strict=True) if samples):
                    process.add(Sample(number * INTERVAL_MS, READING))
    assert client.last_ms == number * INTERVAL_MS, "it is sent the newest in the end"
