"""What continue watching must hold, computed from what was acknowledged: a second opinion on the projection.

Written from the domain's rules (R1 to R6 and R9) and not from the projection's code; slow and plain on purpose. It sees
all events at once and puts them in order, where the projection takes them as they come.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from infra.settings import Settings
from playhead.demo.ledger import AcknowledgedSession
from playhead.demo.watching.sitting import Moment, Title

Intervals = list[tuple[int, int]]
STANDING = frozenset({"paused", "buffering_started", "completed", "stopped"})
GOING_ON = frozenset({"resumed", "buffering_ended"})
"""What ends standing; so does a heartbeat of a playhead that moved on, when the report that said so never came."""
FASTEST_RATE = 2
SLACK_MS = 1000
"""A playhead that came further than this was moved, though the report that said so never came."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a client is to see of a row."""

    title_id: str
    state: str
    position_ms: int
    next_title_id: str | None


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers of R4 and R5."""

    bookmark_min_watched_ms: int
    bookmark_min_watched_ratio: float
    complete_at_ratio: float
    resumable_min_duration_ms: int

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        """As configured."""
        return cls(
            settings.bookmark_min_watched_ms,
            settings.bookmark_min_watched_ratio,
            settings.complete_at_ratio,
            settings.resumable_min_duration_ms,
        )

    def completes(self, title: Title, moment: Moment) -> bool:
        """R5: at the credits when the catalog has them, else at a share of the title."""
        if title.credits_start_ms is not None:
            complete_from_ms: float = title.credits_start_ms
        else:
            complete_from_ms = title.duration_ms * self.complete_at_ratio
        return moment.type == "completed" or moment.position_ms >= complete_from_ms

    def enough_watched(self, title: Title, watched_ms: int) -> bool:
        """R4: 60 s or 5 % watched, whichever is less."""
        return watched_ms >= min(self.bookmark_min_watched_ms, title.duration_ms * self.bookmark_min_watched_ratio)


@dataclass(frozen=True, slots=True)
class _Row:
    session_id: str
    shown: Shown | None


def continue_watching(sessions: Iterable[AcknowledgedSession], rules: Rules) -> dict[str, Shown]:
    """A profile's rows by shelf (R1), without those that are not shown."""
    by_shelf: dict[str, list[AcknowledgedSession]] = {}
    for session in sessions:
        by_shelf.setdefault(session.title.shelf, []).append(session)
    rows = {shelf: _row(of_shelf, rules) for shelf, of_shelf in by_shelf.items()}
    return {shelf: row.shown for shelf, row in rows.items() if row is not None and row.shown is not None}


def watched_ms(session: AcknowledgedSession) -> int:
    """How much of its title was played in a session."""
    return max((watched for _, watched in _watching(session)), default=0)


def _row(sessions: list[AcknowledgedSession], rules: Rules) -> _Row | None:
    row: _Row | None = None
    for session, moment, watched_ms in _in_order(sessions):
        backed_out = row is not None and row.session_id != session.session_id
        if backed_out and not rules.enough_watched(session.title, watched_ms):
            continue  # R4
        if rules.completes(session.title, moment):
            row = _Row(session.session_id, _next_episode(session.title))
        elif session.title.duration_ms >= rules.resumable_min_duration_ms:  # R5
            row = _Row(session.session_id, _in_progress(session.title, moment))
    return row


def _in_order(sessions: list[AcknowledgedSession]) -> list[tuple[AcknowledgedSession, Moment, int]]:
    """All events by (time, session start, seq) (R2, R3), with what their session had watched by then."""
    events = [(session, *event) for session in sessions for event in _watching(session)]
    return sorted(events, key=lambda event: (event[1].at_ms, event[0].number, event[1].seq))


def _watching(session: AcknowledgedSession) -> Iterable[tuple[Moment, int]]:
    """A session's events in its player's order, with the length of what was played: a union of intervals."""
    played: Intervals = []
    before: Moment | None = None
    standing = False
    for _, moment in sorted(session.moments.items()):
        if moment.facts.get("fatal"):
            continue  # R9
        if before is not None and not standing:
            to_ms = moment.facts.get("from_ms", moment.position_ms)
            assert isinstance(to_ms, int)
            if to_ms - before.position_ms <= (moment.at_ms - before.at_ms) * FASTEST_RATE + SLACK_MS:
                played.append((before.position_ms, to_ms))
        moved_on = moment.type == "heartbeat" and before is not None and moment.position_ms > before.position_ms
        standing = moment.type in STANDING or (standing and moment.type not in GOING_ON and not moved_on)
        before = moment
        yield moment, union_ms(played)


def union_ms(intervals: Intervals) -> int:
    """The length of a union of intervals."""
    covered_ms = 0
    reached_ms = 0
    for begin_ms, end_ms in sorted(intervals):
        covered_ms += max(0, end_ms - max(begin_ms, reached_ms))
        reached_ms = max(reached_ms, end_ms)
    return covered_ms


def _in_progress(title: Title, moment: Moment) -> Shown:
    return Shown(title.title_id, "in_progress", moment.position_ms, title.next_title_id)


def _next_episode(title: Title) -> Shown | None:
    """R6: what comes next is offered from its beginning; nothing comes after the last."""
    return Shown(title.title_id, "next_episode", 0, title.next_title_id) if title.next_title_id else None
