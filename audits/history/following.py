"""Gathers the events of a tree: those of one correlation, what their first causes were, and what followed elsewhere."""

from typing import NamedTuple

from audits.history.asked import Asked
from audits.history.events import HistoryEvent
from audits.history.reading import begun
from audits.history.trees import missing_causes
from audits.sources import Sources
from events.refusals import Refusal


class NoSuchEvent(Refusal):
    """The history holds no event of this id."""


class Gathered(NamedTuple):
    """The events of trees, in the order of history. `about`: the correlation; None for an event without one. `lacks`:
    what the answer cannot have, and what was too much for it.
    """

    events: list[HistoryEvent]
    about: str | None
    lacks: list[str]


async def of_correlation(sources: Sources, correlation_id: str) -> Gathered:
    """All of a correlation, with the causes of others that it began by. Raises what begun() does."""
    lacks: list[str] = []
    events = await _all(sources, Asked(correlation_id=correlation_id), lacks)
    return Gathered(await _with_causes(sources, events, lacks), correlation_id, lacks)


async def of_event(sources: Sources, event_id: str) -> Gathered:
    """All of an event's correlation, what followed from the event itself in others, and the causes that these began by.
    Raises NoSuchEvent, and what begun() does.
    """
    lacks: list[str] = []
    found = await _all(sources, Asked(event_ids=(event_id,)), lacks)
    if not found:
        raise NoSuchEvent(f"There is no event {event_id!r} in the history.")
    about = found[0].correlation_id
    related = [] if about is None else await _all(sources, Asked(correlation_id=about), lacks)
    effects = await _all(sources, Asked(causation_ids=(event_id,)), lacks)
    events = _in_order([*found, *related, *effects])
    return Gathered(await _with_causes(sources, events, lacks), about, lacks)


async def _with_causes(sources: Sources, events: list[HistoryEvent], lacks: list[str]) -> list[HistoryEvent]:
    missing = missing_causes(events)[: sources.settings.history_filter_values_max]
    causes = await _all(sources, Asked(event_ids=tuple(missing)), lacks) if missing else []
    return _in_order([*causes, *events])


async def _all(sources: Sources, asked: Asked, lacks: list[str]) -> list[HistoryEvent]:
    most = sources.settings.history_tree_max_events
    async with begun(sources, asked) as reading:
        events = [event async for event in reading.events(most + 1)]
    told = [f"only the first {most} events are in the tree"] if len(events) > most else []
    lacks.extend(line for line in [*reading.lacks, *told] if line not in lacks)
    return events[:most]


def _in_order(events: list[HistoryEvent]) -> list[HistoryEvent]:
    """Each place once, in the order of history: of one partition, as far as events have one, by their offsets."""
    distinct = {event.place: event for event in events}
    return sorted(distinct.values(), key=_place)


def _place(event: HistoryEvent) -> tuple[int, str, int, int]:
    place = event.position if event.position is not None else event.offset
    return event.history_time_us, event.topic, event.partition, place or 0
