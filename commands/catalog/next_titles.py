"""Which title follows which, where editors say so: one stream for the whole catalog, so that a cycle of next titles
can be seen, and refused, wherever its links were made. Pure. ADR 7 says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from commands.catalog.refusals import NextTitleCycle
from commands.decider import Decider
from events.catalog import NextTitleLinked, NextTitleUnlinked
from events.envelope import Event
from events.types import TitleId

STREAM_ID = "catalog.next-titles"


@dataclass(frozen=True, kw_only=True)
class LinkNextTitle:
    """Have a title be followed by another, or (None) by none."""

    title_id: TitleId
    next_title_id: TitleId | None


@dataclass(frozen=True)
class NextTitles:
    """Every link, by the title that it leads from."""

    links: Mapping[TitleId, TitleId] = field(default_factory=dict)


def evolve(state: NextTitles, event: Event) -> NextTitles:
    """The links after an event."""
    match event:
        case NextTitleLinked(title_id=title_id, next_title_id=next_title_id):
            return NextTitles({**state.links, title_id: next_title_id})
        case NextTitleUnlinked(title_id=title_id):
            return NextTitles({of: following for of, following in state.links.items() if of != title_id})
        case _:
            return state


def decide(command: LinkNextTitle, state: NextTitles, _: datetime) -> list[Event]:
    """The link that is made or undone; none when it is already so. Raises NextTitleCycle."""
    if state.links.get(command.title_id) == command.next_title_id:
        return []
    if command.next_title_id is None:
        return [NextTitleUnlinked(title_id=command.title_id)]
    _check_ends(command.title_id, command.next_title_id, state.links)
    return [NextTitleLinked(title_id=command.title_id, next_title_id=command.next_title_id)]


def _check_ends(title_id: TitleId, next_title_id: TitleId, links: Mapping[TitleId, TitleId]) -> None:
    path = [title_id, next_title_id]
    while path[-1] != title_id:
        if path[-1] not in links:
            return
        path.append(links[path[-1]])
    raise NextTitleCycle(
        f"{title_id} would follow itself: {' -> '.join(path)}; take one of these links away first",
        members={"cycle": path},
    )


NEXT_TITLES = Decider(NextTitles(), decide, evolve, snapshots=True)
