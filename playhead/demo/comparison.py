"""Holds what views show against what was acknowledged: pure, and exact."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from playhead.demo.ledger import Ledger
from playhead.demo.watching.reference import Rules, Shown, continue_watching, watched_ms

Expected = TypeVar("Expected")
MOST_SHOWN: Final = 10
"""Differences printed; more of them say nothing new."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not as it should be; None: there is none."""

    view: str
    key: str
    expected: object | None
    actual: object | None

    def __str__(self) -> str:
        return f"{self.view} {self.key}: expected {_told(self.expected)}, actual {_told(self.actual)}"


@dataclass(frozen=True, slots=True)
class Compared:
    """How one view fared: what `acknowledged` and `held` count is said in `unit`, where it was read in `read_from`."""

    view: str
    unit: str
    read_from: str
    acknowledged: int
    held: int
    differences: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        """Whether the view holds exactly what was acknowledged."""
        return not self.differences


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A playback session, as far as it is compared."""

    event_count: int
    last_seq: int
    position_ms: int
    watched_ms: int


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A session in its profile's watch history, as far as it is compared."""

    title_id: str
    device_id: str
    position_ms: int
    completed: bool


def differences(view: str, expected: Mapping[str, Expected], held: Mapping[str, Expected]) -> tuple[Difference, ...]:
    """What is missing in a view, what it has in excess, and what is not the same, by key."""
    keys = sorted({*expected, *held})
    return tuple(
        Difference(view, key, expected.get(key), held.get(key)) for key in keys if expected.get(key) != held.get(key)
    )


def compared(
    view: str, expected: Mapping[str, Expected], held: Mapping[str, Expected], *, unit: str, read_from: str
) -> Compared:
    """A view held against what it should hold, a row a key."""
    return Compared(view, unit, read_from, len(expected), len(held), differences(view, expected, held))


def expected_sessions(ledger: Ledger) -> dict[str, SessionRow]:
    """By session."""
    return {
        session.session_id: SessionRow(
            session.event_count, max(session.moments, default=-1), session.last_position_ms, watched_ms(session)
        )
        for session in ledger.sessions.values()
    }


def expected_timeline(ledger: Ledger) -> dict[str, int]:
    """The position of every event, by "session#seq"; the grant has seq -1."""
    granted = {f"{session.session_id}#-1": session.start_position_ms for session in ledger.sessions.values()}
    reported = {
        f"{session.session_id}#{seq}": moment.position_ms
        for session in ledger.sessions.values()
        for seq, moment in session.moments.items()
    }
    return {**granted, **reported}


def expected_history(ledger: Ledger, rules: Rules) -> dict[str, HistoryRow]:
    """By session."""
    return {
        session.session_id: HistoryRow(
            session.title.title_id,
            session.device.device_id,
            session.last_position_ms,
            any(rules.completes(session.title, moment) for moment in session.moments.values()),
        )
        for session in ledger.sessions.values()
    }


def expected_continue_watching(ledger: Ledger, rules: Rules) -> dict[str, Shown]:
    """By "profile/shelf", as the reference model says."""
    return {
        f"{profile_id}/{shelf}": shown
        for profile_id in ledger.profiles()
        for shelf, shown in continue_watching(ledger.of_profile(profile_id), rules).items()
    }


def _told(row: object | None) -> str:
    return "no row" if row is None else str(row)
