"""Quality of experience by time: how sessions started, played, stalled and failed, apart by what a dashboard asks for.

Postgres tables quality_by_*; docs/measures.md, "Quality by time", says what each number is.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from infra.access.authentication import Needs
from infra.access.permissions import Principal, Scope
from infra.http.problems import ProblemKind, Refusal
from query_api.caching.declared import Kept, Turn, kept
from query_api.dependencies import EVERY_VIEW, From, Positions, ReadSettings
from query_api.playback import TOPIC
from query_api.playback.quality_range import Interval, Range, asked_range
from query_api.playback.quality_rows import (
    SUMMED,
    Counted,
    Dimension,
    Place,
    Question,
    place_of,
    ratio,
    read_counts,
    read_sums,
)
from query_api.tables import asking
from query_api.tables.parameters import COMMAS
from query_api.tables.table import Projected, Table

VALUE_MAX_CHARS: Final = 100
VALUES_MAX: Final = 20
"""Of one filter."""


class TooManyGroups(Refusal):
    """The answer would have more rows than settings.quality_max_rows."""


TOO_MANY_GROUPS = ProblemKind(422, "too-many-groups", "The answer would have too many rows")

EXAMPLE: Final[dict[str, object]] = {
    "interval": "hour",
    "zone": "Asia/Seoul",
    "begins_at": "2026-01-01T20:00:00+09:00",
    "ends_at": "2026-01-01T21:00:00+09:00",
    "group_by": ["cdn"],
    "items": [
        {
            "begins_at": "2026-01-01T20:00:00+09:00",
            "group": {"cdn": "made-up-cdn"},
            "plays": 1_000,
            "starts": 970,
            "exits_before_video": 18,
            "exits_before_video_ratio": 0.018,
            "start_failures": 7,
            "start_failure_ratio": 0.007,
            "playback_failures": 4,
            "playback_failure_ratio": 0.0041,
            "startup_ms_average": 910,
            "startup_ms_p50": 820,
            "startup_ms_p95": 2_340,
            "playing_ms": 1_740_000_000,
            "watched_ms": 1_702_000_000,
            "stalled_ms": 5_220_000,
            "stall_count": 410,
            "stalled_plays": 203,
            "stalled_play_ratio": 0.2093,
            "rebuffering_ratio": 0.003,
            "average_bitrate_kbps": 5_800,
            "dropped_frames": 1_204,
            "error_count": 31,
            "errors": [{"code": "MEDIA_ERR_NETWORK", "count": 22}],
        }
    ],
}


class ErrorsOfCode(BaseModel):
    """How often players said a code."""

    code: str
    count: int


class Quality(BaseModel):
    """The sessions of a group that started in an interval. A ratio of nothing is null."""

    begins_at: datetime = Field(description="when the interval begins, in the zone asked for")
    group: dict[Dimension, str | None] = Field(description="by what was grouped; null: it was not said")
    plays: int = Field(description="sessions granted; no downloads")
    starts: int = Field(description="of them, those that showed a frame")
    exits_before_video: int = Field(description="over without a frame, and without a fatal error")
    exits_before_video_ratio: float | None = Field(description="of plays")
    start_failures: int = Field(description="failed for good before the first frame")
    start_failure_ratio: float | None = Field(description="of plays")
    playback_failures: int = Field(description="failed for good after it")
    playback_failure_ratio: float | None = Field(description="of starts")
    startup_ms_average: int | None
    startup_ms_p50: int | None = Field(description="to within a tenth")
    startup_ms_p95: int | None = Field(description="to within a tenth")
    playing_ms: int
    watched_ms: int
    stalled_ms: int
    stall_count: int
    stalled_plays: int = Field(description="sessions that stalled")
    stalled_play_ratio: float | None = Field(description="of starts")
    rebuffering_ratio: float | None = Field(description="stalled_ms / (stalled_ms + playing_ms)")
    average_bitrate_kbps: int | None = Field(description="weighted by playing time")
    dropped_frames: int
    error_count: int
    errors: list[ErrorsOfCode] = Field(description="the most frequent codes")


class QualityByTime(BaseModel):
    """Quality in each interval from `begins_at` to before `ends_at`, apart by `group_by`; in order, and without those
    in which nothing started.
    """

    interval: Interval
    zone: str
    begins_at: datetime
    ends_at: datetime
    group_by: list[Dimension]
    items: list[Quality]


Analyst = Annotated[Principal, Depends(Needs(Scope.PLAYBACK_READ))]
Value = Annotated[str, Field(max_length=VALUE_MAX_CHARS, pattern=r"^[^\x00-\x1f\x7f]*$")]


def _values(example: str) -> object:
    return Query(
        max_length=VALUES_MAX,
        description="Only of these; an empty one: of those that did not say",
        examples=[[example]],
    )


Titles = Annotated[list[Value] | None, _values("made-up-s1e1")]
DeviceTypes = Annotated[list[Value] | None, _values("tv")]
Platforms = Annotated[list[Value] | None, _values("tizen")]
AppVersions = Annotated[list[Value] | None, _values("8.4.1")]
Cdns = Annotated[list[Value] | None, _values("made-up-cdn")]
Edges = Annotated[list[Value] | None, _values("icn-2")]
Countries = Annotated[list[Value] | None, _values("KR")]


Only: TypeAlias = Mapping[Dimension, Sequence[str] | None]


async def played_on(
    title_id: Titles = None,
    device_type: DeviceTypes = None,
    platform: Platforms = None,
    app_version: AppVersions = None,
) -> Only:
    """Which sessions are asked for, by what is played, and on what."""
    return {
        Dimension.TITLE_ID: title_id,
        Dimension.DEVICE_TYPE: device_type,
        Dimension.PLATFORM: platform,
        Dimension.APP_VERSION: app_version,
    }


async def served_from(cdn: Cdns = None, cdn_edge: Edges = None, country: Countries = None) -> Only:
    """And by where from, and where to."""
    return {Dimension.CDN: cdn, Dimension.CDN_EDGE: cdn_edge, Dimension.COUNTRY: country}


async def grouped_by(
    group_by: Annotated[
        list[Dimension] | None,
        COMMAS,
        Query(description="What to tell apart, separated by commas", examples=[["cdn", "country"]]),
    ] = None,
) -> tuple[Dimension, ...]:
    """What to tell apart, each once."""
    return tuple(dict.fromkeys(group_by or ()))


async def asked_question(
    settings: ReadSettings,
    over: Annotated[Range, Depends(asked_range)],
    by: Annotated[tuple[Dimension, ...], Depends(grouped_by)],
    played: Annotated[Only, Depends(played_on)],
    served: Annotated[Only, Depends(served_from)],
) -> Question:
    """All that a request asks."""
    of = {dimension: values for dimension, values in {**played, **served}.items() if values}
    return Question(over, by, of, settings.quality_max_errors)


TABLE: Final = Table(Quality, name="quality")
COUNTED: Final = ("startup_ms_p50", "startup_ms_p95", "errors")
"""The fields that have tables of their own."""

routes = APIRouter(tags=["playback"])


@routes.get(
    "/v1/quality",
    response_model=QualityByTime | Projected,
    responses=TABLE.replies(EXAMPLE, *EVERY_VIEW, TOO_MANY_GROUPS),
)
@kept(Kept((TOPIC,), (Turn.MINUTE,), timeless_with="to"))
async def read_quality(
    caller: Analyst,
    sources: From,
    shown: Annotated[asking.Asked, Depends(asking.asked(TABLE))],
    asked: Annotated[Question, Depends(asked_question)],
    positions: Positions,
) -> Response:
    """How sessions that started in each interval of a range fared, apart by any of the dimensions."""
    most = shown.settings.quality_max_rows
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres_as(caller) as connection:
        rows = await read_sums(connection, asked, most + 1)
        if len(rows) > most:
            raise TooManyGroups(f"It would have more than {most} rows: group by less, filter, or ask for less.")
        counts = await read_counts(connection, asked) if shown.shape.wants(*COUNTED) else {}
    return shown.reply(_by_time(asked, rows, counts))


def _by_time(asked: Question, rows: Sequence[Mapping[str, Any]], counts: Mapping[Place, Counted]) -> QualityByTime:
    over = asked.over
    return QualityByTime(
        interval=over.interval,
        zone=over.zone.key,
        begins_at=over.local(over.begins[0]),
        ends_at=over.local(over.end),
        group_by=list(asked.by),
        items=[_quality(asked, row, counts.get(place_of(asked, row), Counted())) for row in rows],
    )


def _quality(asked: Question, row: Mapping[str, Any], counted: Counted) -> Quality:
    whole = {name: round(row[name]) for name in SUMMED if name in Quality.model_fields}
    return Quality(
        begins_at=asked.over.local(asked.over.begins[row["place"] - 1]),
        group={dimension: row[dimension] or None for dimension in asked.by},
        **whole,
        exits_before_video_ratio=ratio(row["exits_before_video"], row["plays"]),
        start_failure_ratio=ratio(row["start_failures"], row["plays"]),
        playback_failure_ratio=ratio(row["playback_failures"], row["starts"]),
        startup_ms_average=_rounded(ratio(row["startup_ms"], row["startups"])),
        startup_ms_p50=counted.startup_ms(0.5),
        startup_ms_p95=counted.startup_ms(0.95),
        stalled_play_ratio=ratio(row["stalled_plays"], row["starts"]),
        rebuffering_ratio=ratio(row["stalled_ms"], row["stalled_ms"] + row["playing_ms"]),
        average_bitrate_kbps=_rounded(ratio(row["bits"], row["bitrate_ms"])),
        errors=[ErrorsOfCode(code=code, count=count) for code, count in counted.errors.items()],
    )


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)
