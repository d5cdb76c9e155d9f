"""From records to events: pure. A record with `e` says that something happened (event mode), one without says what an
object was asked for with (request mode).
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from commands.playback.leases.progress import NOTHING, Motion, Progress
from commands.playback.recording import recorded
from events.cmcd import EventToken, PlayerState, Record
from events.envelope import Context
from events.playback import PlaybackCmcdReported, PlaybackCmcdRequested, SessionSnapshot

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MS: Final = timedelta(milliseconds=1)
TELLING: Final = (EventToken.STATE_CHANGED, EventToken.TIME)
"""Whose `sta` is of their own time."""
MOTIONS: Final = {PlayerState.PLAYING: Motion.PLAYS, PlayerState.PAUSED: Motion.PAUSED}


def observe(
    records: Iterable[Record],
    session: SessionSnapshot,
    context: Context,
    *,
    target: str,
    received_at: datetime,
    slack: timedelta,
) -> list[bytes]:
    """The events of what a player sent to one of its collectors, as they go to Kafka."""
    earliest, latest = (session.started_at - slack - EPOCH) // MS, (received_at + slack - EPOCH) // MS
    bodies = []
    for number, record in enumerate(records):
        is_believed = record.ts is not None and earliest <= record.ts <= latest
        at = EPOCH + record.ts * MS if is_believed and record.ts is not None else received_at
        mode = PlaybackCmcdRequested if record.e is None else PlaybackCmcdReported
        adjusted = record.ts is not None and not is_believed
        event = mode(session=session, target=target, record=record, time_adjusted=adjusted)
        event_id = _id(record, session, target, received_at, number)
        bodies.append(recorded(event, session, context, event_id=event_id, at=at, taken_at=received_at))
    return bodies


def _id(record: Record, session: SessionSnapshot, target: str, received_at: datetime, number: int) -> str:
    """The same for a resend. A request without a number and a time is never sent again, and two may say the same."""
    identity = f"{session.session_id}:{record.identity(target)}"
    if record.e is None and record.ts is None:
        return f"{identity}:{(received_at - EPOCH) // timedelta(microseconds=1)}:{number}"
    return identity


def progress_of(records: Sequence[Record]) -> Progress:
    """What records say to their session's lease: whether it plays, by the last that says so. A session that reports by
    itself goes by its reports: what a record says has no number among them.
    """
    telling = [record for record in records if record.e in TELLING and record.sta in MOTIONS]
    last = max(telling, key=lambda record: record.ts or 0, default=None)
    return NOTHING if last is None or last.sta is None else NOTHING._replace(motion=MOTIONS[last.sta])
