"""Folding numbered points in their order: here into the text of their numbers."""

import random

from hypothesis import given
from hypothesis import strategies as st

from projections.playback.waiting import InOrder, take

Text = InOrder[str, str]


def write(text: str, letter: str) -> str:
    return text + letter


def taken(numbers: list[int], most: int = 200) -> tuple[Text, list[int]]:
    """The fold of the letters of these numbers, and the numbers that were taken for duplicates."""
    held, known = Text(0, ""), []
    for number in numbers:
        after = take(held, number, chr(ord("a") + number), write, most)
        if after is None:
            known.append(number)
        else:
            held = after
    return held, known


def test_what_comes_in_order_is_folded_and_nothing_waits() -> None:
    assert taken([0, 1, 2]) == (Text(3, "abc"), [])


def test_what_is_ahead_of_a_hole_waits_and_counts_already() -> None:
    held, _ = taken([0, 2, 3])
    assert (held.next_seq, held.state, held.waiting, held.settled) == (1, "acd", ((2, "c"), (3, "d")), "a")


def test_a_hole_that_is_filled_is_folded_in_its_place() -> None:
    assert taken([0, 2, 3, 1]) == (Text(4, "abcd"), [])


def test_a_second_hole_keeps_the_rest_waiting() -> None:
    held, _ = taken([0, 2, 4, 1])
    assert (held.next_seq, held.state, held.waiting, held.settled) == (3, "abce", ((4, "e"),), "abc")


def test_a_duplicate_is_recognised_folded_or_waiting() -> None:
    assert taken([0, 2, 3, 0, 3, 2])[1] == [0, 3, 2]


def test_when_more_wait_than_may_the_lowest_hole_is_given_up() -> None:
    held, _ = taken([0, 2, 3, 5, 6], most=3)
    assert (held.next_seq, held.state, held.waiting, held.given_up) == (4, "acdfg", ((5, "f"), (6, "g")), (1, 2))


def test_what_comes_for_a_hole_that_was_given_up_is_noted_once_and_not_folded() -> None:
    held, known = taken([0, 2, 3, 4, 1, 1], most=2)
    assert (held.state, held.given_up, known) == ("acde", (), [1])


def test_of_a_fold_that_never_began_at_its_first_number_all_are_folded_in_the_end() -> None:
    assert taken([2, 3, 4, 5], most=3)[0] == Text(6, "cdef", given_up=(0, 2))


@given(st.lists(st.integers(0, 25)), st.randoms(use_true_random=False))
def test_any_order_with_any_duplicates_gives_the_same_fold(numbers: list[int], chance: random.Random) -> None:
    shuffled = numbers * 2
    chance.shuffle(shuffled)
    held, known = taken(shuffled)
    assert held == taken(sorted(set(numbers)))[0]
    assert len(known) == len(shuffled) - len(set(numbers))


@given(st.lists(st.integers(0, 25)), st.integers(0, 5))
def test_each_number_is_taken_once_and_folded_in_order_however_few_may_wait(numbers: list[int], most: int) -> None:
    held, known = taken(numbers, most)
    assert len(known) == len(numbers) - len(set(numbers))
    assert list(held.state) == sorted(set(held.state))
    assert len(held.waiting) <= most
