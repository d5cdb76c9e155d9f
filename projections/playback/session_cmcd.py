"""What a session's players said of themselves by CMCD, in Cassandra: a record a row, in the order of the players' own
clocks. A row's key is made of the record alone, so that one that comes again is the same row.
"""

from datetime import datetime
from typing import Final

import msgspec

from events.cmcd import MEANS, Means, Measure, ObjectType, PlayerState, Record
from events.envelope import Event, Recorded
from events.playback import CmcdEvent, Observed
from events.registry import members
from events.topics import PLAYBACK
from projections.times import microseconds
from projections.views import SeriesView, Stamped

PICTURE: Final = (ObjectType.VIDEO, ObjectType.MUXED, None)
"""Which of several measures is shown: that of the picture, else the first."""
OF_STATE: Final = {
    PlayerState.ENDED: Means.COMPLETED,
    PlayerState.FATAL: Means.ERROR,
    PlayerState.QUIT: Means.STOPPED,
}
"""What a change of state means whatever the state before."""


class CmcdEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `said_ms`: the player's clock, ms since 1970; `record`: all that it said, as JSON."""

    session_id: str
    said_ms: int
    record_id: str
    at: datetime
    recorded_at: datetime
    event_type: str
    target: str
    sid: str | None = None
    sn: int | None = None
    e: str | None = None
    sta: str | None = None
    means: str | None = None
    pt: int | None = None
    buffer_ms: int | None = None
    bitrate_kbps: int | None = None
    throughput_kbps: int | None = None
    response_code: int | None = None
    ttfb_ms: int | None = None
    ttlb_ms: int | None = None
    url: str | None = None
    error_codes: str | None = None
    time_adjusted: bool
    record: str
    profile_id: str
    account_id: str


class _Kept(msgspec.Struct):
    """The part of an event's data that is kept as bytes."""

    record: msgspec.Raw


_kept = msgspec.json.Decoder(_Kept)


class SessionCmcd(SeriesView[CmcdEntry]):
    """A row a record."""

    name = "session_cmcd"
    row = CmcdEntry
    bucket = ("session_id",)
    key = ("said_ms", "record_id")
    topics = (PLAYBACK,)
    events = members(CmcdEvent)

    def project(self, recorded: Recorded[Event]) -> list[Stamped[CmcdEntry]]:
        """The entry of a record."""
        event, around = recorded.data, recorded.envelope
        assert isinstance(event, Observed)
        said, session = event.record, event.session
        entry = CmcdEntry(
            session_id=session.session_id,
            said_ms=said.ts if said.ts is not None else microseconds(around.time) // 1_000,
            record_id=around.id.removeprefix(f"{session.session_id}:"),
            at=around.time,
            recorded_at=around.recordedtime,
            event_type=around.type,
            target=event.target,
            sid=said.sid,
            sn=said.sn,
            e=said.e,
            sta=said.sta,
            means=means_of(said),
            pt=said.pt,
            buffer_ms=shown(said.bl),
            bitrate_kbps=shown(said.br),
            throughput_kbps=shown(said.mtp),
            response_code=said.rc,
            ttfb_ms=said.ttfb,
            ttlb_ms=said.ttlb,
            url=said.url.partition("?")[0] if said.url else None,
            error_codes=msgspec.json.encode(said.ec).decode() if said.ec else None,
            time_adjusted=event.time_adjusted,
            record=bytes(_kept.decode(around.data).record).decode(),
            profile_id=session.profile_id,
            account_id=session.account_id,
        )
        return [Stamped(entry, microseconds(around.recordedtime))]


def means_of(said: Record) -> Means | None:
    """Our own report that a record stands for, as far as it can be told without the records before it."""
    if said.e is None:
        return None
    return MEANS[said.e] or (OF_STATE.get(said.sta) if said.sta and said.e == "ps" else None)


def shown(measures: tuple[Measure, ...]) -> int | None:
    """One number of a list."""
    for kind in PICTURE:
        for measure in measures:
            if measure.of == kind:
                return measure.value
    return measures[0].value if measures else None
