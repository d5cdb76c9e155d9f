"""How many different ids there were, without keeping them: HyperLogLog (Flajolet et al., 2007). Pure, the same on both
sides: views keep registers, queries merge and read them.

Registers are a byte each, and those of two sets together are the larger of each. They are read by the estimator of
Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), which Redis has too: it needs no tables
of corrections, few ids or many.
"""

from collections.abc import Sequence
from hashlib import blake2b
from math import inf, log, sqrt
from typing import Final

PRECISION: Final = 11
REGISTERS: Final = 1 << PRECISION
STANDARD_ERROR: Final = 1.04 / sqrt(REGISTERS)
"""2.3 %: of three estimates two are nearer than that."""
NOBODY: Final = bytes(REGISTERS)

_REST: Final = 64 - PRECISION
_SCALE: Final = REGISTERS * REGISTERS / (2 * log(2))


def registers_of(one: str) -> bytes:
    """The registers of one id; the same in every process."""
    hashed = int.from_bytes(blake2b(one.encode(), digest_size=8).digest(), "big")
    place, rest = hashed >> _REST, hashed & ((1 << _REST) - 1)
    return NOBODY[:place] + bytes((_REST - rest.bit_length() + 1,)) + NOBODY[place + 1 :]


def merged(sets: Sequence[bytes]) -> bytes:
    """The registers of all sets together."""
    if len(sets) < 2:
        return sets[0] if sets else NOBODY
    return bytes(map(max, *sets))


def estimate(registers: bytes) -> int:
    """How many different ids were put in."""
    counts = [0] * (_REST + 2)
    for rank in registers:
        counts[rank] += 1
    total = REGISTERS * _tau(1 - counts[-1] / REGISTERS)
    for count in counts[_REST:0:-1]:
        total = (total + count) / 2
    return round(_SCALE / (total + REGISTERS * _sigma(counts[0] / REGISTERS)))


def _sigma(share: float) -> float:
    """What registers that nothing fell into stand for: the sum of share ** 2 ** k times 2 ** (k - 1), and share."""
    if share == 1:
        return inf
    total, before, weight = share, -1.0, 1.0
    while total != before:
        share, before = share * share, total
        total, weight = total + share * weight, 2 * weight
    return total


def _tau(share: float) -> float:
    """What registers that are full stand for."""
    if share in (0, 1):
        return 0.0
    total, before, weight = 1 - share, -1.0, 1.0
    while total != before:
        share, before, weight = sqrt(share), total, weight / 2
        total -= (1 - share) ** 2 * weight
    return total / 3
