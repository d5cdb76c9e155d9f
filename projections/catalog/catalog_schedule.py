"""What will be published when, in Postgres: where the scheduler finds its work. A hint, not an authority: the stream
decides.
"""

from datetime import datetime

import msgspec

from events.catalog import TitleDiscarded, TitleEvent, TitlePublished, TitleScheduled, TitleUnscheduled
from events.envelope import Event, Recorded
from events.topics import CATALOG
from projections.views import KeyedView


class ScheduledTitle(msgspec.Struct, frozen=True, kw_only=True):
    """A row: a title that will be published. `series_id`: of an episode."""

    title_id: str
    series_id: str | None
    publish_at: datetime


class CatalogSchedule(KeyedView[ScheduledTitle, str]):
    """One row for each title that has a time ahead, or a time that has passed and nobody has acted on."""

    name = "catalog_schedule"
    row = ScheduledTitle
    topics = (CATALOG,)
    events = (TitleScheduled, TitleUnscheduled, TitlePublished, TitleDiscarded)

    def key(self, recorded: Recorded[Event]) -> str:
        """The title."""
        assert isinstance(recorded.data, TitleEvent)
        return recorded.data.title_id

    def project(self, row: ScheduledTitle | None, recorded: Recorded[Event]) -> ScheduledTitle | None:
        """The title's time after an event; None when it has none."""
        match recorded.data:
            case TitleScheduled() as event:
                series_id = event.place.series_id if event.place else None
                return ScheduledTitle(title_id=event.title_id, series_id=series_id, publish_at=event.publish_at)
            case _:
                return None
