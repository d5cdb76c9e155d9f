"""A release whose folds of continue_watching and session_timeline are others, and a worker of its Redis or Cassandra
when this module is run.
"""

import sys
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from events.envelope import Event, Recorded
from infra.settings import Settings, settings
from projections.app import cassandra_views, redis_views
from projections.playback.continue_watching import Bookmark, ContinueWatching
from projections.playback.session_timeline import SessionTimeline, TimelineEntry
from projections.store import Store
from projections.stores.cassandra import CassandraStore
from projections.stores.redis import RedisStore
from projections.views import Stamped
from projections.worker import Worker, run_worker

OTHERWISE = "called otherwise"


class ChangedBookmarks(ContinueWatching):
    """Every title has one name."""

    version = 2

    def project(self, row: Bookmark | None, recorded: Recorded[Event]) -> Bookmark | None:
        after = super().project(row, recorded)
        return after if after is None or after is row else replace(after, name=OTHERWISE)


class ChangedTimeline(SessionTimeline):
    """So it has here."""

    version = 2

    def project(self, recorded: Recorded[Event]) -> list[Stamped[TimelineEntry]]:
        return [replace(one, row=replace(one.row, title_name=OTHERWISE)) for one in super().project(recorded)]


def changed_views(store: str, given: Settings) -> list[Any]:
    """All views of that release in a store."""
    if store == "cassandra":
        return [ChangedTimeline() if isinstance(view, SessionTimeline) else view for view in cassandra_views(given)]
    views = redis_views(given)
    [now] = [view for view in views if isinstance(view, ContinueWatching)]
    changed = ChangedBookmarks.__new__(ChangedBookmarks)
    changed.__dict__.update(now.__dict__)
    return [changed if view is now else view for view in views]


if __name__ == "__main__":
    ours = settings()
    stores: dict[str, Callable[..., Store[Any]]] = {"redis": RedisStore, "cassandra": CassandraStore}
    store, views = stores[sys.argv[1]], changed_views(sys.argv[1], ours)
    run_worker(lambda: Worker(store(ours, views), views, ours), ours)
