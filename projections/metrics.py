"""What projections count, by store (`projection`); /metrics of each process serves it."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

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
PLACEMENTS: Final = Counter(
    "playhead_projection_placements_total", "Partitions read from the store's checkpoint anew", ["projection"]
)
