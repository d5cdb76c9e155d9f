"""Durations counted in fixed buckets whose bounds grow by a tenth, so that counts add up across rows, and percentiles
are told from them to within a bucket's width: a tenth.

What is stored is the number of a bucket: other bounds would need every row to be counted again.
"""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

SHORTEST_MS: Final = 10
GROWTH: Final = 1.1
BUCKETS: Final = 100
BOUNDS_MS: Final = tuple(round(SHORTEST_MS * GROWTH**step) for step in range(BUCKETS - 1))
"""Where each bucket but the first begins: 10 ms to 114 s. The last has no end."""


def bucket_of(duration_ms: int) -> int:
    """The number of the bucket that a duration is counted in."""
    return bisect_right(BOUNDS_MS, duration_ms)


def percentile_ms(counts: Mapping[int, int], share: float) -> int | None:
    """The duration that `share` (0 to 1) of those counted do not exceed; None if none is. It lies in the bucket of the
    exact one, so that it is off by less than a tenth, or by 10 ms below that; of the last bucket it is the beginning.
    """
    rank = share * sum(counts.values())
    passed = 0
    for bucket in sorted(bucket for bucket, count in counts.items() if count > 0):
        begin_ms, end_ms = _edges(bucket)
        if passed + counts[bucket] >= rank:
            return round(begin_ms + (end_ms - begin_ms) * max(0.0, rank - passed) / counts[bucket])
        passed += counts[bucket]
    return None


def _edges(bucket: int) -> tuple[int, int]:
    return EDGES_MS[bucket] if bucket < BUCKETS - 1 else (BOUNDS_MS[-1], BOUNDS_MS[-1])


EDGES_MS: Final = tuple(pairwise((0, *BOUNDS_MS)))
