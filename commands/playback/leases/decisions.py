"""What goes to the scripts of the leases, and what they decide, between their texts and our values."""

from datetime import datetime
from typing import Final

import msgspec

from commands.playback.leases.outcomes import Ending, Held, Renewal, RunningStream, Terminated
from commands.playback.leases.scripts import CODE_CHARS, Reply
from events.playback import SessionSnapshot, TerminatedBy
from events.types import AccountId, SessionId
from infra.ids import new_secret

STATES: Final = {b"s": "starting", b"r": "started", b"e": "ended", b"x": "expired", b"t": "terminated", b"o": "offline"}
TOLD: Final = b"1"
_snapshot = msgspec.json.Decoder(SessionSnapshot)
_ending = msgspec.json.Decoder(Ending)
_encoder = msgspec.json.Encoder()


class Decision(msgspec.Struct, frozen=True, array_like=True):
    """What a script that decides answers (lua/records.lua)."""

    how: bytes
    until_ms: int
    before: tuple[int, ...]
    texts: tuple[bytes, ...]

    @property
    def snapshots(self) -> tuple[SessionSnapshot, ...]:
        """The sessions in its texts, which are facts; of one whose facts Redis has forgotten there is nothing."""
        return tuple(_snapshot.decode(facts[CODE_CHARS:]) for facts in self.texts if facts)

    @property
    def running(self) -> tuple[RunningStream, ...]:
        """The streams in its texts, which are facts and paused_since in turn; the first to start first."""
        pairs = zip(self.texts[::2], self.texts[1::2], strict=True)
        streams = [
            RunningStream(
                session=_snapshot.decode(facts[CODE_CHARS:]),
                is_paused=paused_since != b"0",
                termination_code=facts[:CODE_CHARS].decode(),
            )
            for facts, paused_since in pairs
            if facts
        ]
        return tuple(sorted(streams, key=lambda stream: stream.session.started_at))

    def renewal(self) -> Renewal:
        """What it means for a session that reported."""
        how = Held(self.how.decode())
        match how:
            case Held.TERMINATED:
                return Renewal(how, 0, self.before, terminated=_terminated(self.texts[0]))
            case Held.PLACE:
                return Renewal(how, self.until_ms, self.before, replaced=self.snapshots)
            case _:
                return Renewal(how, None if how is Held.FREE else 0, self.before)


def decided(reply: Reply) -> Decision:
    """A script's answer."""
    return msgspec.convert(reply, Decision)


def keys_of(account_id: AccountId, session_id: SessionId) -> tuple[str, str, str, str]:
    """The keys of the scripts that decide, all in the account's slot."""
    account = f"playback:{{{account_id}}}"
    return f"{account}:leases", f"{account}:facts", f"{account}:endings", f"{account}:session:{session_id}"


def most(max_streams: int | None) -> int:
    """A limit as the scripts take it."""
    return -1 if max_streams is None else max_streams


def started_ms(session: SessionSnapshot) -> int:
    """When a session started, in ms since 1970."""
    return int(session.started_at.timestamp() * 1000)


def facts_of(session: SessionSnapshot) -> bytes:
    """A session's facts: a new termination code, then its snapshot."""
    return new_secret(CODE_CHARS // 2).hex().encode() + _encoder.encode(session)


def encoded(ending: Ending) -> bytes:
    """An ending as Redis keeps it."""
    return _encoder.encode(ending)


def over_limit(at: datetime, first: SessionSnapshot | None) -> Ending:
    """The ending of a session that was let in unchecked; `first`: the session that goes before it, if it is one."""
    return Ending(reason="over_limit", by=ended_by(first) if first else TerminatedBy(), at=at)


def ended_by(session: SessionSnapshot) -> TerminatedBy:
    """Who ends another session: a session that takes its place."""
    return TerminatedBy(
        profile_id=session.profile_id,
        session_id=session.session_id,
        device_name=session.device.name,
        title_name=session.title.name,
    )


def _terminated(text: bytes) -> Terminated:
    if not text:
        return Terminated(None, is_told=True)
    told, _, ending = text.split(b" ", 2)
    return Terminated(_ending.decode(ending), is_told=told == TOLD)


def with_seqs(reply: Reply) -> tuple[int, tuple[int, ...]]:
    """renew.lua's answer with the seqs that were marked before: the lease's end stands before them."""
    until_ms, *before = msgspec.convert(reply, list[int])
    return until_ms, tuple(before)
