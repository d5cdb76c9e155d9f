"""A title as of a cut: whether it was published, how it was rated, and where it could be played. Pure: the folds of the
views of the catalog, over the stream that decides the title.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from audits.as_of.cuts import Cut, Decisive, Fact, in_order
from audits.as_of.rows import folded
from projections.catalog.catalog_titles import CatalogTitle, CatalogTitles
from projections.catalog.catalog_windows import CatalogWindows, Window

TITLE: Final = "title"


class TitleThen(msgspec.Struct, frozen=True, kw_only=True):
    """What the catalog said of a title. `title`: None: nothing was said of it yet, or its draft was thrown away.
    `windows`: of a title that is published, each holding its start and not its end."""

    title: CatalogTitle | None
    windows: tuple[Window, ...]
    events: tuple[Decisive, ...]


class TitleAsOf(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. `licences`: of the windows that were open in the territory at that time; `opens_at`: when the next
    one did, as far as was said then."""

    title_id: str
    at: datetime
    territory: str | None
    published: bool
    available: bool | None
    licences: tuple[str, ...]
    opens_at: datetime | None
    minimum_age: int | None
    ratings: Any
    title: CatalogTitle | None
    windows: tuple[Window, ...]
    events: tuple[Decisive, ...]


def title_then(title_id: str, facts: Sequence[Fact], cut: Cut) -> TitleThen:
    """Fold the stream that decides a title: its own, or its series'."""
    held = list(cut.of(facts))
    titles, windows = (folded(view, held, lambda key: key == title_id) for view in (CatalogTitles(), CatalogWindows()))
    events = {event.place: event for event in (*titles.events, *windows.events)}
    [title] = titles.rows or [None]
    [listed] = windows.rows or [None]
    return TitleThen(
        title=title,
        windows=listed.windows if listed else (),
        events=in_order(msgspec.structs.replace(event, about=TITLE) for event in events.values()),
    )


def is_open(window: Window, territory: str, at: datetime) -> bool:
    """Whether a title may be played by a window."""
    begun = window.starts_at is None or window.starts_at <= at
    return window.territory == territory and begun and (window.ends_at is None or at < window.ends_at)


def open_licences(windows: Sequence[Window], territory: str | None, at: datetime) -> frozenset[str]:
    """By which licences a title may be played somewhere at a time; None: nobody can tell where."""
    return frozenset(one.licence for one in windows if territory is not None and is_open(one, territory, at))


def opens_at(windows: Sequence[Window], territory: str | None, at: datetime) -> datetime | None:
    """When the next window of a territory opens after a time."""
    starts = (one.starts_at for one in windows if one.territory == territory)
    return min((start for start in starts if start is not None and start > at), default=None)


def title_as_of(title_id: str, then: TitleThen, *, at: datetime, territory: str | None) -> TitleAsOf:
    """What is to be said of a title."""
    title = then.title
    licences = open_licences(then.windows, territory, at)
    published = title is not None and title.status == "published"
    return TitleAsOf(
        title_id=title_id,
        at=at,
        territory=territory,
        published=published,
        available=published and bool(licences) if territory is not None else None,
        licences=tuple(sorted(licences)),
        opens_at=opens_at(then.windows, territory, at),
        minimum_age=title.minimum_age if title else None,
        ratings=title.ratings if title else (),
        title=title,
        windows=then.windows,
        events=then.events,
    )
