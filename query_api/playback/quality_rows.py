"""Reads quality of experience by time: Postgres tables quality_by_minute, quality_by_hour, and quality_counts_by_*."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

from infra.log_buckets import percentile_ms
from infra.postgres import Connection
from query_api.playback.quality_range import Range


class Dimension(StrEnum):
    """What sessions can be told apart by: columns of the tables."""

    TITLE_ID = "title_id"
    DEVICE_TYPE = "device_type"
    PLATFORM = "platform"
    CDN = "cdn"
    CDN_EDGE = "cdn_edge"
    APP_VERSION = "app_version"
    COUNTRY = "country"


Place: TypeAlias = tuple[int | str, ...]
"""The number of an interval, from 1, and a value for each dimension that is grouped by."""

SUMMED: Final = (
    "plays",
    "starts",
    "exits_before_video",
    "start_failures",
    "playback_failures",
    "startups",
    "startup_ms",
    "playing_ms",
    "watched_ms",
    "stalled_ms",
    "stall_count",
    "stalled_plays",
    "bits",
    "bitrate_ms",
    "dropped_frames",
    "error_count",
)
SUMS: Final = ", ".join(f"sum({name})::float8 as {name}" for name in SUMMED)


@dataclass(frozen=True)
class Question:
    """What is asked: over which time, apart by what, and of which sessions alone. `most_errors`: codes of a group."""

    over: Range
    by: tuple[Dimension, ...]
    of: Mapping[Dimension, Sequence[str]]
    most_errors: int

    @property
    def tables(self) -> tuple[str, str]:
        """Of the sums, and of what is counted."""
        interval = "hour" if self.over.is_of_hours else "minute"
        return f"quality_by_{interval}", f"quality_counts_by_{interval}"

    @property
    def grouped(self) -> str:
        """The columns of a place."""
        return ", ".join(("width_bucket(begins_at, $1::timestamptz[]) as place", *self.by))

    @property
    def among(self) -> str:
        """The rows that are asked for. Parameters: see values()."""
        filters = (f"and {name} = any(${number}::text[])" for number, name in enumerate(self.of, start=4))
        return " ".join(("begins_at >= $2 and begins_at < $3", *filters))

    def values(self) -> list[object]:
        """The parameters."""
        return [list(self.over.begins), self.over.begins[0], self.over.end, *map(list, self.of.values())]


@dataclass
class Counted:
    """How often there was what: startups by bucket, errors by code, the most frequent first."""

    startups: dict[int, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)

    def startup_ms(self, share: float) -> int | None:
        """A percentile of startup times."""
        return percentile_ms(self.startups, share)


async def read_sums(connection: Connection, asked: Question, most: int) -> list[Mapping[str, Any]]:
    """The sums of each place, in order: at most `most`."""
    places = ", ".join(map(str, range(1, len(asked.by) + 2)))
    sums, _ = asked.tables
    sql = f"select {asked.grouped}, {SUMS} from {sums} where {asked.among} group by {places} order by {places}"
    return [dict(row) for row in await connection.fetch(f"{sql} limit {most:d}", *asked.values())]


async def read_counts(connection: Connection, asked: Question) -> dict[Place, Counted]:
    """What was counted, by place; of the errors of a place those of the most frequent codes."""
    _, counts = asked.tables
    width = len(asked.by) + 1
    places = ", ".join(("place", *asked.by))
    sql = f"""
        with summed as (
            select {asked.grouped}, counted, label, sum(occurrences)::bigint as occurrences
            from {counts} where {asked.among} group by {", ".join(map(str, range(1, width + 3)))}
        ), ranked as (
            select *, row_number() over (partition by {places}, counted order by occurrences desc, label) as rank
            from summed
        )
        select {places}, counted, label, occurrences from ranked
        where counted = 'startup' or rank <= {asked.most_errors:d} order by rank
    """
    found: defaultdict[Place, Counted] = defaultdict(Counted)
    for row in await connection.fetch(sql, *asked.values()):
        *place, counted, label, occurrences = row
        if counted == "startup":
            found[tuple(place)].startups[int(label)] = occurrences
        else:
            found[tuple(place)].errors[label] = occurrences
    return found


def place_of(asked: Question, row: Mapping[str, Any]) -> Place:
    """The place of a row of sums."""
    return tuple(row[name] for name in ("place", *asked.by))


def ratio(part: float, whole: float) -> float | None:
    """None of nothing."""
    return part / whole if whole else None
