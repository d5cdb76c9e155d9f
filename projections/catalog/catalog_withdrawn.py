"""Withdrawn titles in Redis: what continue watching leaves out when it is read, so that no history is touched."""

from datetime import datetime
from typing import Final

import msgspec
from msgspec.structs import replace

from events.catalog import TitleEvent, TitlePublished, TitleWithdrawn
from events.envelope import Event, Recorded
from events.topics import CATALOG
from projections.views import HashView, Shelf

EVERYONE: Final = "all"
"""In place of a profile: there is one hash, for all."""


class WithdrawnTitle(msgspec.Struct, frozen=True):
    """A row: a title that was withdrawn once, and whether it is now."""

    withdrawn: bool
    updated_at: datetime


class CatalogWithdrawn(HashView[WithdrawnTitle]):
    """Titles and series that were withdrawn, for as long as somebody may have them in continue watching."""

    name = "catalog_withdrawn"
    row = WithdrawnTitle
    topics = (CATALOG,)
    events = (TitleWithdrawn, TitlePublished)

    def __init__(self, *, most_rows: int, ttl_s: int) -> None:
        self.most_rows = most_rows
        self.ttl_s = ttl_s

    def updated_at(self, row: WithdrawnTitle) -> datetime:
        """When it was withdrawn or published again."""
        return row.updated_at

    def key(self, recorded: Recorded[Event]) -> Shelf:
        """The title, in the one hash."""
        event = recorded.data
        assert isinstance(event, TitleEvent)
        return Shelf(EVERYONE, event.title_id)

    def project(self, row: WithdrawnTitle | None, recorded: Recorded[Event]) -> WithdrawnTitle | None:
        """The title after it was withdrawn, or published; what was never withdrawn has no row."""
        withdrawn = isinstance(recorded.data, TitleWithdrawn)
        if row is None:
            return WithdrawnTitle(withdrawn=True, updated_at=recorded.envelope.time) if withdrawn else None
        return replace(row, withdrawn=withdrawn, updated_at=recorded.envelope.time)
