"""How a player's moments reach the API: batched, and with the manners that real players have on real networks.

Some reports arrive in disorder or after the next, some twice because a reply was lost, some when the viewer has long
been on another device. Pure and seeded.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random
from typing import Final

from playhead.demo.watching.films import MINUTE_MS, SECOND_MS
from playhead.demo.watching.sitting import Leaving, Moment, Sitting

REPORT_MOMENTS: Final = 6
OPENING_REPORTS: Final = 2
"""The reports that open a session come in order: the network was good enough to start."""
WRONG_CLOCKS_MS: Final = (-7 * MINUTE_MS, -90 * SECOND_MS, 4 * MINUTE_MS, 26 * MINUTE_MS)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST: `at_ms` is when it is sent. `stop`: to the stop route. `reply_lost`: it is sent once more."""

    at_ms: int
    moments: tuple[Moment, ...]
    stop: bool = False
    reply_lost: bool = False


def clock_error_ms(rng: Random) -> int:
    """How wrong a viewer's clock is: mostly not at all, sometimes minutes."""
    return rng.choice(WRONG_CLOCKS_MS) if rng.random() < 0.15 else rng.randint(-400, 400)


def deliveries(sitting: Sitting, rng: Random) -> list[Delivery]:
    """The POSTs of a sitting, in the order in which they are sent."""
    sent = list(_in_order(sitting))
    reports = [number for number, delivery in enumerate(sent) if not delivery.stop]
    for number in reports[OPENING_REPORTS:]:
        sent[number] = _with_manners(sent[number], rng)
    for number in reports[OPENING_REPORTS:-1]:
        if rng.random() < 0.04:
            first, second = sent[number], sent[number + 1]
            sent[number], sent[number + 1] = replace(first, at_ms=second.at_ms), replace(second, at_ms=first.at_ms)
    if sitting.act.leaving is Leaving.SWITCHED and len(reports) > OPENING_REPORTS:
        sent[reports[-1]] = _held_back(sent[reports[-1]], rng)
    return sorted(sent, key=lambda delivery: delivery.at_ms)


def _in_order(sitting: Sitting) -> Iterator[Delivery]:
    """The first frame at once, then some moments a report, then the stop by itself."""
    first, *others = sitting.moments
    yield Delivery(first.at_ms, (first,))
    stop = others.pop() if others and others[-1].type == "stopped" else None
    for begin in range(0, len(others), REPORT_MOMENTS):
        batch = tuple(others[begin : begin + REPORT_MOMENTS])
        yield Delivery(batch[-1].at_ms, batch)
    if stop is not None:
        yield Delivery(stop.at_ms, (stop,), stop=True)


def _with_manners(delivery: Delivery, rng: Random) -> Delivery:
    chance = rng.random()
    if chance < 0.06:
        return replace(delivery, moments=tuple(rng.sample(delivery.moments, len(delivery.moments))))
    if chance < 0.11:
        return replace(delivery, reply_lost=True)
    return _held_back(delivery, rng) if chance < 0.13 else delivery


def _held_back(delivery: Delivery, rng: Random) -> Delivery:
    """As when a television loses its network and finds it again minutes later."""
    return replace(delivery, at_ms=delivery.at_ms + rng.randint(1 * MINUTE_MS, 4 * MINUTE_MS))


def counted(sitting: Sitting, sent: Sequence[Delivery]) -> Counter[str]:
    """How often each of the manners was shown."""
    seqs = [moment.seq for delivery in sent for moment in delivery.moments]
    return Counter(
        {
            "reports out of order": sum(a.moments[0].seq > b.moments[0].seq for a, b in pairwise(sent)),
            "events out of order": sum(before > after for before, after in pairwise(seqs)),
            "replies lost": sum(delivery.reply_lost for delivery in sent),
            "reports after the viewer left": sum(delivery.at_ms > sitting.ends_ms for delivery in sent),
            "fatal errors": sitting.failed,
            "titles finished": sitting.finished,
            "walked away": sitting.act.leaving is Leaving.WALKED_AWAY,
            "device switches": sitting.act.leaving is Leaving.SWITCHED,
        }
    )
