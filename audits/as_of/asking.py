"""What an auditor says of when, as a cut: times in ISO 8601 with their offset from UTC, and position tokens. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from audits.as_of.cuts import Cut
from events.topics import DEAD_LETTERS, TOPICS
from infra.positions import BadPosition, Position, parse_positions

POSITIONS_MAX: Final = 1_000


class CutRefused(ValueError):
    """No time and no positions, or such as there are none."""


def time_of(text: str) -> datetime:
    """A moment. Raises CutRefused without an offset from UTC: nobody could tell which one it is."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise CutRefused(f"{text!r} is no time: say it as 2026-11-21T21:04:00+09:00") from error
    if found.tzinfo is None:
        raise CutRefused(f"{text!r} may be any of 38 moments: add its offset from UTC, as +09:00 or Z")
    return found


def positions_of(text: str) -> tuple[Position, ...]:
    """Places in partitions of topics, as many as there may be partitions. Raises CutRefused."""
    told = text.split(",")
    if len(told) > POSITIONS_MAX:
        raise CutRefused(f"at most {POSITIONS_MAX} positions, got {len(told)}")
    try:
        found = tuple(place for each in told for place in parse_positions(each))
    except BadPosition as error:
        raise CutRefused(str(error)) from error
    known = {topic.name for topic in (*TOPICS, *DEAD_LETTERS)}
    if unknown := {place.topic for place in found} - known:
        raise CutRefused(f"there is no topic {min(unknown)!r}; there are {', '.join(sorted(known))}")
    return found


def cut_of(text: str) -> Cut:
    """A time, by which an event had been taken, or positions. Raises CutRefused."""
    if text.count(":") >= 2 and text.partition(":")[0].count(".") >= 1 and not text[:1].isdigit():
        return Cut(positions=positions_of(text))
    return Cut(known_at=time_of(text))


def cut_of_both(at: datetime | None, *, known_at: str | None, happened_by: str | None, positions: Sequence[str]) -> Cut:
    """The cut of several options: what was known by `known_at`, else by `at` unless something else bounds it. Raises
    CutRefused.
    """
    told = tuple(place for each in positions for place in positions_of(each))
    by = None if happened_by is None else time_of(happened_by)
    known = time_of(known_at) if known_at is not None else None if told or by is not None else at
    if known is None and by is None and not told:
        raise CutRefused("say as of when: --at TIME, --known-at TIME, --happened-by TIME or --position TOKEN")
    return Cut(known_at=known, happened_by=by, positions=told)
