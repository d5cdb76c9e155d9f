"""What the archiver counts."""

from typing import Final

from prometheus_client import Counter, Gauge

RECORDS: Final = Counter("playhead_archived_records_total", "Records archived by this process", ["topic"])
BYTES: Final = Counter("playhead_archived_bytes_total", "Of their keys and values", ["topic"])
FILE_BYTES: Final = Counter("playhead_archive_file_bytes_total", "Of the files written, compressed", ["topic"])
FILES: Final = Counter("playhead_archive_files_total", "Files written by this process", ["level"])
PLACES_LOST: Final = Counter("playhead_archive_places_lost_total", "Offsets at which another archiver was first")
MISSING: Final = Counter(
    "playhead_archive_missing_records_total", "Offsets that Kafka had lost before they were archived", ["topic"]
)
LAG_RECORDS: Final = Gauge("playhead_archive_lag_records", "Records on Kafka that are not archived", ["topic"])
LAG_SECONDS: Final = Gauge("playhead_archive_lag_seconds", "How old the oldest fetched of them is", ["topic"])
COMPACTED: Final = Counter("playhead_archive_compacted_files_total", "Files that a larger one took the place of")
SWEPT: Final = Counter("playhead_archive_swept_files_total", "Data files removed that are not of the archive any more")
RETIRED: Final = Counter(
    "playhead_archive_retired_records_total", "Records removed from Kafka, as the archive has them", ["topic"]
)
