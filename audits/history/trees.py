"""What followed from what: events as trees by the event that each names as its cause. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import dropwhile
from typing import NamedTuple

from audits.history.events import HistoryEvent

AGAIN = "the same event again"
CYCLE = "follows from itself: its causes lead back to it"


class Branch(NamedTuple):
    """An event in its tree. `depth`: how many causes are above it; `note`: what is odd about it."""

    depth: int
    event: HistoryEvent
    note: str | None = None


def trees(events: Sequence[HistoryEvent], *, about: str | None = None) -> list[Branch]:
    """Events, in the order of history, as trees, each event right after its cause and what followed before it.

    A cause that is not among them is noted, and so is a cycle, which no honest history has: it is cut open at its
    earliest event. What is no event is left out. `about`: the correlation that the trees are of; of others it is noted.
    """
    firsts: dict[str, HistoryEvent] = {}
    again: dict[str, list[HistoryEvent]] = defaultdict(list)
    effects: dict[str | None, list[str]] = defaultdict(list)
    for event in events:
        if event.id is None:
            continue
        if event.id in firsts:
            again[event.id].append(event)
            continue
        firsts[event.id] = event
        effects[event.causation_id].append(event.id)
    cycles = _in_cycles(firsts)
    roots = [each for each, event in firsts.items() if event.causation_id not in firsts]
    shown: set[str] = set()
    branches: list[Branch] = []
    for root in (*roots, *(each for each in firsts if each in cycles)):  # what no root leads to, a cycle does
        if root not in shown:
            for depth, each in _walk(root, effects, shown):
                branches.append(Branch(depth, firsts[each], _note_of(firsts[each], firsts, cycles, about)))
                branches.extend(Branch(depth, event, AGAIN) for event in again[each])
    return branches


def missing_causes(events: Sequence[HistoryEvent]) -> list[str]:
    """The ids that events name as their causes, and that are not among them; in order."""
    ids = {event.id for event in events}
    return list(
        dict.fromkeys(each.causation_id for each in events if each.causation_id and each.causation_id not in ids)
    )


def _walk(root: str, effects: dict[str | None, list[str]], shown: set[str]) -> Iterator[tuple[int, str]]:
    """Depth first, without recursion: a stream's events may each follow from the one before."""
    ahead = [(0, root)]
    while ahead:
        depth, each = ahead.pop()
        if each in shown:
            continue
        shown.add(each)
        yield depth, each
        ahead.extend((depth + 1, effect) for effect in reversed(effects.get(each, [])))


def _note_of(
    event: HistoryEvent, firsts: Mapping[str, HistoryEvent], cycles: set[str], about: str | None
) -> str | None:
    cause = event.causation_id
    if cause is not None and cause not in firsts:
        return f"follows from {cause}, which is not here"
    if event.id in cycles:
        return CYCLE
    if about is not None and event.correlation_id != about:
        return f"of another correlation, {event.correlation_id}"
    return None


def _in_cycles(firsts: Mapping[str, HistoryEvent]) -> set[str]:
    """The events whose causes come round to them. Each has one cause, so each is looked at once."""
    cycles: set[str] = set()
    walked: set[str] = set()
    for begin in firsts:
        path: dict[str, None] = {}
        at: str | None = begin
        while at is not None and at in firsts and at not in walked and at not in path:
            path[at] = None
            at = firsts[at].causation_id
        if at in path:
            cycles.update(dropwhile(at.__ne__, path))
        walked.update(path)
    return cycles
