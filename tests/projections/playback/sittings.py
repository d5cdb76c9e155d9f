"""Sittings told in a line a report, and the summary that becomes of one."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from events import playback as p
from events.envelope import Envelope, Event
from projections.playback.playback_sessions import PlaybackSession, PlaybackSessions
from tests.builders import EVENING, movie, playback_started, reported, session
from tests.projections.folds import project

VIEW = PlaybackSessions()
FILM = session(title=movie(duration_ms=100_000, credits_start_ms=None))
"""Of 100 seconds, so that a second is a percent."""


class Told(NamedTuple):
    """What a player says, so many seconds after EVENING by its clock, its playhead so many seconds into the title."""

    said: type[p.Report]
    at_s: float
    position_s: float
    values: dict[str, Any]


def told(said: type[p.Report], at_s: float, position_s: float, **values: Any) -> Told:
    return Told(said, at_s, position_s, values)


def events_of(
    sitting: Iterable[Told], of: p.SessionSnapshot = FILM, skew: timedelta = timedelta(0)
) -> list[Envelope[Event]]:
    """Its reports, numbered as they are told. `skew`: how wrong the player's clock is, which was corrected."""
    return [
        reported(
            each.said,
            seq,
            of=of,
            time=EVENING + timedelta(seconds=each.at_s),
            at=EVENING + timedelta(seconds=each.at_s) + skew,
            position_ms=round(each.position_s * 1000),
            **each.values,
        )
        for seq, each in enumerate(sitting)
    ]


def summary(*sitting: Told, of: p.SessionSnapshot = FILM) -> PlaybackSession:
    """The row after the grant and these reports, in order."""
    return after(playback_started(of), *events_of(sitting, of))


def after(*events: Envelope[Event], row: PlaybackSession | None = None) -> PlaybackSession:
    """The row after any events."""
    folded = project(VIEW, events, row)
    assert isinstance(folded, PlaybackSession)
    return folded


def watched_s(row: PlaybackSession) -> Sequence[tuple[float, float]]:
    """The intervals watched, in seconds."""
    return [(begin / 1000, end / 1000) for begin, end in zip(row.watched[::2], row.watched[1::2], strict=True)]
