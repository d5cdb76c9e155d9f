"""Reads what each topic says now: from Postgres how many watch and how it goes, from everywhere how far views are."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from infra.access.permissions import Principal, Scope
from infra.clock import utc_now
from infra.settings import Settings
from query_api.live.readings import Lag, ProjectionLag, Quality, Read, TitleViewers, Topic, Viewers
from query_api.playback.quality_range import MINUTE, Interval, Range
from query_api.playback.quality_rows import SUMMED, Counted, Question, ratio, read_counts, read_sums
from query_api.playback.streams import heard_of_within
from query_api.playback.viewers import WATCHING
from query_api.progress import ProgressReader
from query_api.projections import read_states
from query_api.sources import Sources

EVERYBODY: Final = Principal(subject="live", scopes=frozenset({Scope.PLAYBACK_READ, Scope.OPERATIONS_READ}))
"""In whose name rows are read: whoever follows a topic has the scope to see what it adds up."""
NOW: Final = f"""
    select title_id, max(title_name) as title_name, count(*) as viewers,
      sum(count(*)) over () as viewers_of_all, count(*) over () as titles_watched
    from playback_sessions where {WATCHING} and last_recorded_at > $1
    group by title_id order by viewers desc, title_id limit $2
"""
COUNTS: Final = ("plays", "starts", "exits_before_video", "start_failures", "playback_failures")
UTC: Final = ZoneInfo("UTC")


def reads_of(sources: Sources, progress: ProgressReader, settings: Settings) -> dict[Topic, Read]:
    """How each topic is read."""

    async def viewers() -> Viewers:
        return await _viewers(sources, settings)

    async def quality() -> Quality:
        return await _quality(sources, settings)

    async def lag() -> Lag:
        states = await read_states(EVERYBODY, sources, settings, progress)
        projections = [
            ProjectionLag(
                projection=each.projection,
                ready=each.ready,
                reason=each.reason,
                lag_records=each.lag_records,
                freshness_s=each.freshness_s,
                dead_letters_open=each.dead_letters_open,
            )
            for each in states.items
        ]
        return Lag(states.as_of, states.kafka, projections)

    return {Topic.VIEWERS: viewers, Topic.QUALITY: quality, Topic.LAG: lag}


async def _viewers(sources: Sources, settings: Settings) -> Viewers:
    now = utc_now()
    async with sources.postgres_as(EVERYBODY) as connection:
        rows = await connection.fetch(NOW, now - heard_of_within(settings), settings.live_titles_max)
    titles = [TitleViewers(row["title_id"], row["title_name"], row["viewers"]) for row in rows]
    viewers, watched = (int(rows[0]["viewers_of_all"]), rows[0]["titles_watched"]) if rows else (0, 0)
    return Viewers(now, viewers, watched, titles)


async def _quality(sources: Sources, settings: Settings) -> Quality:
    """Of the minute that runs, and of those before it."""
    now = utc_now()
    begin = now.replace(second=0, microsecond=0) - (settings.live_quality_minutes - 1) * MINUTE
    over = Range(Interval.MINUTE, UTC, (begin,), now + timedelta(microseconds=1))
    asked = Question(over, (), {}, most_errors=0)
    async with sources.postgres_as(EVERYBODY) as connection:
        rows = await read_sums(connection, asked, 1)
        counts = await read_counts(connection, asked)
    sums: Mapping[str, Any] = rows[0] if rows else dict.fromkeys(SUMMED, 0)
    counted = next(iter(counts.values()), Counted())
    bitrate = ratio(sums["bits"], sums["bitrate_ms"])
    return Quality(
        as_of=now,
        begins_at=begin,
        **{name: round(sums[name]) for name in COUNTS},
        exits_before_video_ratio=ratio(sums["exits_before_video"], sums["plays"]),
        start_failure_ratio=ratio(sums["start_failures"], sums["plays"]),
        playback_failure_ratio=ratio(sums["playback_failures"], sums["starts"]),
        startup_ms_p50=counted.startup_ms(0.5),
        startup_ms_p95=counted.startup_ms(0.95),
        stalled_play_ratio=ratio(sums["stalled_plays"], sums["starts"]),
        rebuffering_ratio=ratio(sums["stalled_ms"], sums["stalled_ms"] + sums["playing_ms"]),
        average_bitrate_kbps=None if bitrate is None else round(bitrate),
    )
