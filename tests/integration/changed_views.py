"""A release whose fold of playback_sessions is another, and a worker of it when this module is run."""

from typing import Any

from msgspec.structs import replace

from events.envelope import Recorded
from infra.settings import Settings, settings
from projections.app import postgres_views
from projections.playback.playback_sessions import PlaybackSession, PlaybackSessions
from projections.stores.postgres import PostgresStore, PostgresView
from projections.worker import Worker, run_worker

EVERYWHERE = "ZZ"


class ChangedSessions(PlaybackSessions):
    """Every session is in one territory."""

    version = 2

    def project(self, row: PlaybackSession | None, recorded: Recorded[Any]) -> PlaybackSession | None:
        after = super().project(row, recorded)
        return None if after is None else replace(after, territory=EVERYWHERE)


def changed_views(given: Settings) -> list[PostgresView]:
    """All views of that release."""
    changed = ChangedSessions(reorder_window=given.reorder_window_events)
    return [changed if isinstance(view, PlaybackSessions) else view for view in postgres_views(given)]


if __name__ == "__main__":
    ours = settings()
    views = changed_views(ours)
    run_worker(lambda: Worker(PostgresStore(ours, views), views, ours), ours)
