"""How the steps of the leases end, as values, and what Redis keeps of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias

import msgspec

from events.playback import SessionSnapshot, TerminatedBy

Reason: TypeAlias = Literal["replaced", "remote", "over_limit"]


class Ending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a session was ended from elsewhere: all that its event says beside the session itself. `principal`: who did
    it.
    """

    reason: Reason
    by: TerminatedBy
    at: datetime
    principal: str | None = None


class RunningStream(msgspec.Struct, frozen=True, kw_only=True):
    """A session that holds a place, and the code that ends it."""

    session: SessionSnapshot
    is_paused: bool
    termination_code: str


@dataclass(frozen=True)
class Claimed:
    """A place for a new session. `unchecked`: Redis was away, so nobody counted. `replaced`: what was ended for it."""

    unchecked: bool = False
    replaced: tuple[SessionSnapshot, ...] = ()


@dataclass(frozen=True)
class Unclaimed:
    """The session was there already, in this state."""

    state: str


@dataclass(frozen=True)
class LimitReached:
    """There is no place; these have them."""

    running: tuple[RunningStream, ...]


Claim: TypeAlias = Claimed | Unclaimed | LimitReached


@dataclass(frozen=True)
class Terminated:
    """A session was ended from elsewhere. `ending`: None when it was so long ago that Redis has forgotten how."""

    ending: Ending | None
    is_told: bool


class Held(StrEnum):
    """What a session has after a report. AWAY: Redis could not say; FREE: it is paused for so long that its place is
    free; ENDED: its player stopped; GONE: it timed out, and there is no place left.
    """

    PLACE = "held"
    AWAY = "away"
    FREE = "free"
    ENDED = "ended"
    GONE = "gone"
    TERMINATED = "terminated"

    @property
    def is_over(self) -> bool:
        """Whether nothing but late events is expected of the session."""
        return self in (Held.ENDED, Held.GONE, Held.TERMINATED)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What became of a session's lease. `lease_until_ms`: epoch, by Redis's clock. `before`: which events of the report
    Kafka had acknowledged before, numbered in its order from 0. `replaced`: what ended for it, as `ending` says.
    """

    held: Held
    lease_until_ms: int | None = None
    before: tuple[int, ...] = ()
    terminated: Terminated | None = None
    replaced: tuple[SessionSnapshot, ...] = ()
    ending: Ending | None = None


class Termination(StrEnum):
    """How ending another session went. ENDED: it had ended before."""

    UNKNOWN = "unknown"
    ENDED = "ended"
    TERMINATED = "terminated"
