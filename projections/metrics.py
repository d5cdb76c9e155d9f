"""What projections count, by store (`projection`), and what is known of versions of views; /metrics of each process
serves it.
"""

from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from projections.versions.registry import Keeper, State, Version

RECORDS: Final = Counter("playhead_projection_records_total", "Records applied", ["projection", "topic"])
ROWS: Final = Counter("playhead_projection_rows_total", "Rows written", ["projection", "view"])
LAG: Final = Gauge(
    "playhead_projection_lag_records", "Records in Kafka that are not applied", ["projection", "topic", "partition"]
)
BATCH_SECONDS: Final = Histogram(
    "playhead_projection_batch_seconds",
    "From taking a batch to its checkpoint",
    ["projection"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
BATCH_RECORDS: Final = Histogram(
    "playhead_projection_batch_records",
    "Records in a batch",
    ["projection"],
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000),
)
FRESHNESS_SECONDS: Final = Histogram(
    "playhead_projection_freshness_seconds",
    "From taking an event to having it in the views: of the oldest of each batch of a partition",
    ["projection", "topic"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800, 7_200, 43_200),
)
NEWEST: Final = Gauge(
    "playhead_projection_newest_event_timestamp_seconds",
    "When the newest event that is applied was taken; its age is time() less this",
    ["projection", "topic"],
)
CHECKPOINT: Final = Gauge(
    "playhead_projection_checkpoint_timestamp_seconds",
    "When a checkpoint was moved last; with lag, its age is time() less this",
    ["projection"],
)
DEAD_LETTERS: Final = Counter(
    "playhead_projection_dead_letters_total", "Records set aside", ["projection", "topic", "reason"]
)
RETRIED: Final = Counter(
    "playhead_projection_dead_letters_retried_total", "Dead letters tried again", ["projection", "topic", "outcome"]
)
RETRIES: Final = Counter("playhead_projection_store_retries_total", "Tries that the store did not take", ["projection"])
SWEPT: Final = Counter("playhead_projection_rows_swept_total", "Rows removed that are not kept any more", ["view"])
PLACEMENTS: Final = Counter(
    "playhead_projection_placements_total", "Partitions read from the store's checkpoint anew", ["projection"]
)

OF_A_VERSION: Final = ("view", "version")
VERSION_STATE: Final = Gauge(
    "playhead_view_version_state", "1 for the state that a version of a view is in", [*OF_A_VERSION, "state", "keeper"]
)
REBUILD_DONE: Final = Gauge("playhead_rebuild_records_done", "Records that a rebuild has applied", OF_A_VERSION)
REBUILD_TOTAL: Final = Gauge("playhead_rebuild_records_total", "Records that the live view is made of", OF_A_VERSION)
REBUILD_LAG: Final = Gauge(
    "playhead_rebuild_lag_records", "Records of the live view that a rebuild has not applied", OF_A_VERSION
)
REBUILD_PACE: Final = Gauge("playhead_rebuild_records_per_second", "Records that a rebuild applies", OF_A_VERSION)
REBUILD_ETA: Final = Gauge("playhead_rebuild_eta_seconds", "Until it is built, at its present pace", OF_A_VERSION)
REBUILD_SET_ASIDE: Final = Gauge(
    "playhead_rebuild_records_set_aside", "Records that a rebuild could not apply", OF_A_VERSION
)
REBUILD_WAITS: Final = Gauge(
    "playhead_rebuild_waits", "1 while it stands still: it is paused, or live views come first", OF_A_VERSION
)
REBUILDS: Final = (
    REBUILD_DONE,
    REBUILD_TOTAL,
    REBUILD_LAG,
    REBUILD_PACE,
    REBUILD_ETA,
    REBUILD_SET_ASIDE,
    REBUILD_WAITS,
)
REBUILDS_LEADING: Final = Gauge("playhead_rebuilds_leading", "1 in the process that carries out what is asked")
REQUESTS_OPEN: Final = Gauge("playhead_view_requests_open", "Asked of views over HTTP, and not done yet")
REQUESTS_ENDED: Final = Counter(
    "playhead_view_requests_total", "Asked of views over HTTP, and ended", ["action", "outcome"]
)


def show_versions(versions: Iterable[Version]) -> None:
    """Show these versions, and no others; how far it is of each that a rebuild has worked on."""
    for gauge in (VERSION_STATE, *REBUILDS):
        gauge.clear()
    for one in versions:
        if one.state is State.RETIRED:
            continue
        place = (one.view, str(one.version))
        VERSION_STATE.labels(*place, one.state.value, one.keeper.value).set(1)
        if one.keeper is Keeper.REBUILD and one.worked_at is not None:
            _show_rebuild(place, one)


def _show_rebuild(place: tuple[str, str], one: Version) -> None:
    REBUILD_DONE.labels(*place).set(one.records_done)
    REBUILD_TOTAL.labels(*place).set(one.records_total)
    REBUILD_LAG.labels(*place).set(max(one.records_total - one.records_done, 0))
    REBUILD_PACE.labels(*place).set(one.records_per_s or 0)
    REBUILD_SET_ASIDE.labels(*place).set(one.records_set_aside)
    REBUILD_WAITS.labels(*place).set(int(one.paused or one.waits is not None))
    if one.eta_s is not None:
        REBUILD_ETA.labels(*place).set(one.eta_s)
