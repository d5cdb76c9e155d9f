"""Which reports of a session were counted: ranges of seq in a line of text, such as "-1..41,43", lowest first."""

from typing import Final

MOST_RANGES: Final = 500
"""A client that leaves more holes than this loses the oldest: what still comes for it is taken for a duplicate."""


def with_seq(seen: str, seq: int) -> str | None:
    """The ranges with one more seq, or None when it was there already."""
    before, comma, newest = seen.rpartition(",")
    low, _, high = newest.partition("..")
    if low and int(high or low) == seq - 1:  # in order, as nearly all come
        return f"{before}{comma}{low}..{seq}"
    return _with_any(_parsed(seen), seq)


def _with_any(ranges: list[tuple[int, int]], seq: int) -> str | None:
    if any(low <= seq <= high for low, high in ranges):
        return None
    merged: list[tuple[int, int]] = []
    for low, high in sorted([*ranges, (seq, seq)]):
        if merged and merged[-1][1] == low - 1:
            merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    if len(merged) > MOST_RANGES:
        merged[:2] = [(merged[0][0], merged[1][1])]
    return ",".join(f"{low}..{high}" if high > low else str(low) for low, high in merged)


def _parsed(seen: str) -> list[tuple[int, int]]:
    bounds = (part.partition("..") for part in seen.split(",") if part)
    return [(int(low), int(high or low)) for low, _, high in bounds]
