"""Unions of intervals, by their edges."""

from hypothesis import given
from hypothesis import strategies as st

from projections.playback.intervals import NOTHING, Intervals, length, with_interval, without

points = st.integers(0, 40)
spans = st.tuples(points, points).filter(lambda span: span[0] < span[1])


def union(*spans: tuple[int, int], most: int = 500) -> Intervals:
    edges = NOTHING
    for begin, end in spans:
        edges = with_interval(edges, begin, end, most=most)
    return edges


def points_in(edges: Intervals) -> set[int]:
    return {point for begin, end in zip(edges[::2], edges[1::2], strict=True) for point in range(begin, end)}


def test_what_goes_on_where_it_ended_is_one_interval() -> None:
    assert union((0, 10), (10, 20), (15, 30)) == (0, 30)


def test_what_lies_apart_is_another() -> None:
    assert union((50, 60), (0, 10), (20, 30)) == (0, 10, 20, 30, 50, 60)


def test_what_lies_between_joins_its_neighbours() -> None:
    assert union((0, 10), (20, 30), (10, 20)) == (0, 30)


def test_what_was_there_changes_nothing() -> None:
    edges = union((0, 30))
    assert with_interval(edges, 5, 30, most=500) is edges


def test_of_more_intervals_than_are_kept_the_shortest_is_left_out() -> None:
    assert union((0, 10), (20, 21), (30, 40), (50, 60), most=3) == (0, 10, 30, 40, 50, 60)


def test_a_point_is_taken_out_once() -> None:
    assert without((3, 6), 4) == (3, 4, 5, 6)
    assert without((3, 6), 3) == (4, 6)
    assert without((3, 4), 3) == ()
    assert without((3, 6), 6) is None
    assert without((3, 6), 2) is None


@given(st.lists(spans))
def test_a_union_is_that_of_its_points_in_any_order(added: list[tuple[int, int]]) -> None:
    edges = union(*added)
    expected = {point for begin, end in added for point in range(begin, end)}
    assert points_in(edges) == expected
    assert length(edges) == len(expected)
    assert list(edges) == sorted(set(edges))


@given(st.lists(spans), points)
def test_without_a_point_all_others_stay(added: list[tuple[int, int]], point: int) -> None:
    edges = union(*added)
    left = without(edges, point)
    assert (left is None) == (point not in points_in(edges))
    assert left is None or points_in(left) == points_in(edges) - {point}
