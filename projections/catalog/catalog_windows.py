"""Catalog windows in Postgres: when a title may be played, a record for each territory and licence, so that what is
available now or soon in a territory is found by an index.
"""

from datetime import datetime

import msgspec

from events.catalog import AnyTitleEvent, TitleEvent, TitlePublished, TitleRevised
from events.envelope import Event, Recorded
from events.registry import members
from events.titles import Status, open_windows
from events.topics import CATALOG
from projections.views import ListView


class Window(msgspec.Struct, frozen=True):
    """A time in which a title may be played, holdbacks taken out; None is an open end. An episode's windows are found
    by its series too.
    """

    series_id: str | None
    territory: str
    licence: str
    starts_at: datetime | None
    ends_at: datetime | None


class TitleWindows(msgspec.Struct, frozen=True):
    """The windows of a title that is published."""

    title_id: str
    windows: tuple[Window, ...]


class CatalogWindows(ListView[TitleWindows]):
    """What a title's last event says; a title that is not published has none."""

    name = "catalog_windows"
    row = TitleWindows
    item = Window
    topics = (CATALOG,)
    events = members(AnyTitleEvent)

    def key(self, recorded: Recorded[Event]) -> str:
        """The title."""
        event = recorded.data
        assert isinstance(event, TitleEvent)
        return event.title_id

    def project(self, row: TitleWindows | None, recorded: Recorded[Event]) -> TitleWindows | None:
        """The windows after an event."""
        event = recorded.data
        match event:
            case TitlePublished() | TitleRevised(status=Status.PUBLISHED):
                windows = _windows(event)
                return TitleWindows(event.title_id, windows) if windows else None
            case _:
                return None


def _windows(event: TitlePublished | TitleRevised) -> tuple[Window, ...]:
    series_id = event.place.series_id if event.place else None
    return tuple(
        Window(series_id, one.territory, one.licence.value, one.starts_at, one.ends_at)
        for one in open_windows(event.details)
    )
