"""What a report says to its session's lease: whether it plays, how far it is, and which events Kafka has. Pure."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from operator import attrgetter
from typing import Final, NamedTuple

from events.playback import AnyReport, Heartbeat, Paused, Resumed, Started


class Motion(StrEnum):
    """Whether a session plays at the end of a report; UNSAID: only a playhead further than before would show it."""

    PLAYS = "plays"
    PAUSED = "paused"
    UNSAID = ""


class Progress(NamedTuple):
    """`seq`: the highest of the report, -1 without events. `opening_ms`: the playhead of its first event if that is a
    heartbeat, else -1; `closing_ms`: of its last. `runs`: seqs in the report's order, as first and count in turn.
    """

    motion: Motion
    seq: int
    opening_ms: int
    closing_ms: int
    runs: Sequence[int]


NOTHING: Final = Progress(Motion.UNSAID, -1, -1, 0, ())
_seq_of = attrgetter("seq")


def progress_of(reports: Sequence[AnyReport]) -> Progress:
    """The progress that reports make, whatever order they came in."""
    if not reports:
        return NOTHING
    in_order = sorted(reports, key=_seq_of) if len(reports) > 1 else reports
    first, last = in_order[0], in_order[-1]
    opening_ms = first.position_ms if isinstance(first, Heartbeat) else -1
    return Progress(_motion(in_order), last.seq, opening_ms, last.position_ms, runs_of(map(_seq_of, reports)))


def runs_of(seqs: Iterable[int]) -> list[int]:
    """Seqs as first and count in turn: 4, 5, 6, 9 as 4, 3, 9, 1."""
    runs: list[int] = []
    due = -1
    for seq in seqs:
        if seq == due:
            runs[-1] += 1
        else:
            runs += (seq, 1)
        due = seq + 1
    return runs


def _motion(in_order: Sequence[AnyReport]) -> Motion:
    motion = Motion.UNSAID
    last_ms = in_order[0].position_ms
    for report in in_order:
        position_ms = report.position_ms
        if isinstance(report, Heartbeat):
            if position_ms > last_ms:
                motion = Motion.PLAYS
        elif isinstance(report, Paused):
            motion = Motion.PAUSED
        elif isinstance(report, (Resumed, Started)):  # a union takes three times as long to look through
            motion = Motion.PLAYS
        last_ms = position_ms
    return motion
