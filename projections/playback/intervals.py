"""Unions of intervals, kept as their edges in ascending order: (from, to, from, to, ...)."""

from bisect import bisect_left, bisect_right
from typing import Final, TypeAlias

Intervals: TypeAlias = tuple[int, ...]

NOTHING: Final[Intervals] = ()


def with_interval(edges: Intervals, begin: int, end: int, *, most: int) -> Intervals:
    """The union with begin..end, which must not be empty. Of more than `most` intervals the shortest is left out."""
    if edges and edges[-2] <= begin <= edges[-1]:  # goes on where the last one ended, as nearly all do
        return edges if end <= edges[-1] else (*edges[:-1], end)
    low, high = bisect_left(edges, begin), bisect_right(edges, end)
    # An even number of edges to the left of a point means that the point is outside of all intervals.
    opened = () if low % 2 else (begin,)
    closed = () if high % 2 else (end,)
    united = edges[:low] + opened + closed + edges[high:]
    return united if len(united) <= 2 * most else _without_shortest(united)


def without(edges: Intervals, point: int) -> Intervals | None:
    """The union without point..point + 1, or None when that was not in it."""
    place = bisect_right(edges, point)
    if place % 2 == 0:
        return None
    begin, end = edges[place - 1], edges[place]
    left = (begin, point) if begin < point else ()
    right = (point + 1, end) if point + 1 < end else ()
    return edges[: place - 1] + left + right + edges[place + 1 :]


def length(edges: Intervals) -> int:
    """How much the intervals cover."""
    if len(edges) == 2:  # nothing was skipped
        return edges[1] - edges[0]
    return sum(edges[1::2]) - sum(edges[::2])


def _without_shortest(edges: Intervals) -> Intervals:
    shortest = min(range(0, len(edges), 2), key=lambda place: edges[place + 1] - edges[place])
    return edges[:shortest] + edges[shortest + 2 :]
