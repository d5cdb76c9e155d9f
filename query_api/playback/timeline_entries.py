"""What a timeline shows: entries of one session from two tables, and how these are merged."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from pydantic import BaseModel, Field

from infra.cassandra import Row
from infra.personal_data import SEALED
from query_api.times import as_utc

GRANTED_SEQ: Final = -1
CLOSED_SEQ: Final = 2**31 - 1
PLAYHEAD: Final = "playhead"
PLAYER: Final = "player"
CMCD: Final = "cmcd"

EXAMPLE: Final[dict[str, object]] = {
    "source": "player",
    "seq": 1,
    "event_type": "playback.PlaybackProgressed.v1",
    "at": "2026-01-01T20:05:40.250000Z",
    "recorded_at": "2026-01-01T20:05:40.310000Z",
    "position_ms": 10_000,
    "report": {
        "type": "heartbeat",
        "seq": 1,
        "at": "2026-01-01T20:05:40.250000Z",
        "position_ms": 10_000,
        "bitrate_kbps": 5_200,
    },
    "ending": None,
    "cmcd": None,
}
CMCD_EXAMPLE: Final[dict[str, object]] = {
    "source": "cmcd:default",
    "seq": None,
    "event_type": "playback.PlaybackCmcdReported.v1",
    "at": "2026-01-01T20:05:41.100000Z",
    "recorded_at": "2026-01-01T20:05:41.130000Z",
    "position_ms": None,
    "report": None,
    "ending": None,
    "cmcd": {
        "target": "default",
        "sid": "8e0c34b2-6f0b-4d0e-9d7c-0b1c2d3e4f50",
        "sn": 39,
        "e": "t",
        "sta": "p",
        "means": "heartbeat",
        "buffer_ms": 7_900,
        "bitrate_kbps": 566,
        "throughput_kbps": 46_300,
        "response_code": None,
        "ttfb_ms": None,
        "ttlb_ms": None,
        "url": None,
        "error_codes": [],
        "time_adjusted": False,
        "record": {"bl": [{"value": 7_900}], "br": [{"value": 566}], "e": "t", "sn": 39, "sta": "p", "v": 2},
    },
}


class Cmcd(BaseModel):
    """What a player said by CMCD (CTA-5004-B); `record` has every key of it, and what was mended to read it."""

    target: str = Field(description="which of the player's collectors it was sent to")
    sid: str | None = Field(description="the player's own session")
    sn: int | None = Field(description="its number in that session, at that collector")
    e: str | None = Field(description="the event; null: a request said it")
    sta: str | None = Field(description="the player's state")
    means: str | None = Field(description="the type of report that it stands for, as far as one record can tell")
    buffer_ms: int | None
    bitrate_kbps: int | None
    throughput_kbps: int | None
    response_code: int | None
    ttfb_ms: int | None
    ttlb_ms: int | None
    url: str | None
    error_codes: list[str]
    time_adjusted: bool = Field(description="the player's clock is too far off to be believed: `at` is when it came")
    record: dict[str, object]


class Ending(BaseModel):
    """Why Playhead ended a session, and who did, if anybody."""

    reason: str
    by: dict[str, object] | None


class TimelineEvent(BaseModel):
    """One event. `at`: when it happened, corrected for the player's clock; `recorded_at`: when it was taken in;
    `report`: as the player sent it.
    """

    source: str = Field(description="`playhead`, `player` (its reports), or `cmcd:` and the collector that took it")
    seq: int | None = Field(description="The player's numbering from 0; -1: the start that Playhead granted")
    event_type: str
    at: datetime
    recorded_at: datetime
    position_ms: int | None
    report: dict[str, object] | None
    ending: Ending | None
    cmcd: Cmcd | None


class AfterEvent(msgspec.Struct, frozen=True):
    """The last of each table that a page and those before it showed."""

    seq: int = -2  # the grant is at -1, before the player's own numbering
    event_type: str = ""
    said_ms: int = -1
    record_id: str = ""


BEFORE_ALL: Final = AfterEvent()


def merged(reports: Sequence[Row], records: Sequence[Row], after: AfterEvent) -> list[tuple[Row, AfterEvent]]:
    """Rows of both tables by time, each table in its own order, and where a page that ends with each goes on."""
    rows: list[tuple[Row, AfterEvent]] = []
    at = of_report = of_record = 0
    while (of_report, of_record) != (len(reports), len(records)):
        is_record = of_report == len(reports) or (
            of_record < len(records) and records[of_record]["said_ms"] < _ms(reports[of_report]["at"])
        )
        if is_record:
            row, of_record = records[of_record], of_record + 1
            after = msgspec.structs.replace(after, said_ms=row["said_ms"], record_id=row["record_id"])
        else:
            row, of_report = reports[of_report], of_report + 1
            after = msgspec.structs.replace(after, seq=row["seq"], event_type=row["event_type"])
        rows.append((row, after))
        at += 1
    return rows


def event_of(row: Row) -> TimelineEvent:
    """A row of either table."""
    return _of_record(row) if "record_id" in row else _of_report(row)


def source_of(row: Row) -> str:
    """Who said what a row of session_timeline says."""
    return PLAYHEAD if row["seq"] in (GRANTED_SEQ, CLOSED_SEQ) else PLAYER


def _of_report(row: Row) -> TimelineEvent:
    said = msgspec.json.decode(row["report"]) if row["report"] else None
    source, is_closed = source_of(row), row["seq"] == CLOSED_SEQ
    return TimelineEvent(
        source=source,
        seq=None if is_closed else row["seq"],
        event_type=row["event_type"],
        at=as_utc(row["at"]),
        recorded_at=as_utc(row["recorded_at"]),
        position_ms=row["position_ms"],
        report=said if source == PLAYER else None,
        ending=Ending(reason=said["reason"], by=_by(said)) if is_closed and said else None,
        cmcd=None,
    )


def _by(said: dict[str, Any]) -> dict[str, object] | None:
    """Who ended it; the name of their device is where the session is read, with the key that opens it."""
    by: dict[str, object] | None = said.get("by")
    return {name: value for name, value in by.items() if not SEALED.fullmatch(str(value))} if by else by


def _of_record(row: Row) -> TimelineEvent:
    codes = msgspec.json.decode(row["error_codes"]) if row["error_codes"] else []
    said = {**row, "error_codes": codes, "record": msgspec.json.decode(row["record"])}
    return TimelineEvent(
        source=f"{CMCD}:{row['target']}",
        seq=None,
        event_type=row["event_type"],
        at=as_utc(row["at"]),
        recorded_at=as_utc(row["recorded_at"]),
        position_ms=row["pt"],
        report=None,
        ending=None,
        cmcd=Cmcd.model_validate(said),
    )


def _ms(at: datetime) -> int:
    return int(as_utc(at).timestamp() * 1_000)
