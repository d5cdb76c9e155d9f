"""What is concluded from reports of which some never came: the rules of docs/measures.md, one after the other.

It goes over the events that are known twice: first to say what the player did after each, then to measure between
neighbours. On sessions of which nothing is missing it must come to the truth, which the tests of the oracle check.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from tests.players.player import Told
from tests.players.server import Heard
from tests.players.summary import Measures, average, union

SLACK_MS: Final = 1_000
FASTEST_RATE: Final = 2
IN_AD: Final = {"ad_break_started": True, "ad_break_ended": False}


@dataclass(frozen=True, slots=True)
class Believed:
    """What the player is believed to do after an event. `kind`: of the buffering that was not said to end, and `stall`
    its number if it is one; `since_seek_ms`: how much was played since the last seek."""

    mode: str = "starting"
    back_to: str = "starting"
    kind: str | None = None
    stall: int = -1
    since_seek_ms: int | None = None
    in_ad: bool = False
    shown: bool = False
    rate: float = 1.0
    bitrate_kbps: float | None = None

    @property
    def next_kind(self) -> str:
        """Of a buffering that begins now: only a stall counts."""
        if self.in_ad:
            return "ad"
        if not self.shown:
            return "startup"
        return "stall" if self.since_seek_ms is None else "seek"


class Stalls:
    """What each stall lasted by the events around it, or as its player said."""

    def __init__(self) -> None:
        self.seen_ms: list[int] = []
        self.said_ms: dict[int, int] = {}

    def begin(self) -> int:
        """The number of one more."""
        self.seen_ms.append(0)
        return len(self.seen_ms) - 1

    @property
    def lasted_ms(self) -> int:
        """All of them."""
        return sum(self.said_ms.get(number, seen_ms) for number, seen_ms in enumerate(self.seen_ms))


@dataclass(frozen=True, slots=True)
class Step:
    """Two neighbours, and what is believed between them."""

    before: Told
    after: Told
    believed: Believed

    @property
    def passed_ms(self) -> int:
        """By the player's clock."""
        return max(0, self.after.at_ms - self.before.at_ms)

    @property
    def moved_ms(self) -> int:
        """How far the playhead went, jumps left out."""
        return moved_ms(self.before.position_ms, self.after)

    @property
    def plays(self) -> bool:
        """Whether the title was played."""
        return self.believed.mode == "playing" and not self.believed.in_ad and self.moved_ms > 0

    @property
    def played_ms(self) -> float:
        """For how long."""
        return min(self.passed_ms, self.moved_ms / self.believed.rate) if self.plays else 0.0

    @property
    def watched(self) -> tuple[int, int]:
        """The positions watched; none if it went faster than anybody watches."""
        from_ms = self.before.position_ms
        return from_ms, from_ms + self.moved_ms if self.plays and self.is_watchable else from_ms

    @property
    def is_watchable(self) -> bool:
        """Whether the playhead went forward no faster than anybody watches."""
        return 0 < self.moved_ms <= self.passed_ms * max(self.believed.rate, FASTEST_RATE) + SLACK_MS


def reading(heard: Heard) -> Measures:
    """What the known events of a session say."""
    told = [heard.sitting.told[seq] for seq in heard.measured()]
    ending = next((at for at, each in enumerate(told) if each.ends), None)
    measured = told if ending is None else told[: ending + 1]
    stalls = Stalls()
    beliefs = _believed(measured, heard.sitting.from_ms, stalls)
    steps = [Step(before, after, belief) for (before, after), belief in zip(pairwise(measured), beliefs, strict=False)]
    for step in steps:
        if step.believed.mode == "buffering" and step.believed.kind == "stall" and not step.believed.in_ad:
            stalls.seen_ms[step.believed.stall] += step.passed_ms
    return Measures(
        mode=beliefs[-1].mode if beliefs else "starting",
        watched=union(step.watched for step in steps),
        playing_ms=sum(step.played_ms for step in steps),
        ad_ms=sum(step.passed_ms for step in steps if step.believed.in_ad),
        stall_count=len(stalls.seen_ms),
        stalled_ms=stalls.lasted_ms,
        bitrate_kbps=average(
            (step.believed.bitrate_kbps, step.played_ms) for step in steps if step.believed.bitrate_kbps is not None
        ),
        startup_ms=min(said(measured, "startup_ms"), default=None),
        shown=any(belief.shown for belief in beliefs),
        error_count=sum(each.type == "error" for each in measured),
        fatal_error_code=next((str(each.facts["code"]) for each in measured if each.facts.get("fatal")), None),
        dropped_frames=max(said(measured, "dropped_frames"), default=None),
        ending=None if ending is None else (told[ending].seq, told[ending].type),
    )


def moved_ms(before_ms: int, after: Told) -> int:
    """How far the playhead went from a position to an event, jumps left out."""
    return int(after.facts["from_ms"] if after.type == "seeked" else after.position_ms) - before_ms


def said(told: Sequence[Told], fact: str) -> list[int]:
    """What was said of a number, each time."""
    return [int(each.facts[fact]) for each in told if fact in each.facts]


def _believed(told: Sequence[Told], from_ms: int, stalls: Stalls) -> list[Believed]:
    """What is believed after each event."""
    beliefs: list[Believed] = []
    believed, before_ms, before = Believed(), from_ms, None
    for each in told:
        moved = moved_ms(before_ms, each)
        if before is not None and Step(before, each, believed).is_watchable:
            believed = _played(believed, moved)
        believed = _after(_with_dimensions(believed, each), each, moved, stalls)
        beliefs.append(believed)
        before, before_ms = each, each.position_ms
    return beliefs


def _played(believed: Believed, moved: int) -> Believed:
    if believed.in_ad or believed.since_seek_ms is None:
        return believed
    since_ms = believed.since_seek_ms + moved
    return replace(believed, since_seek_ms=None if since_ms > SLACK_MS else since_ms)


def _with_dimensions(believed: Believed, told: Told) -> Believed:
    rate, bitrate_kbps = told.facts.get("rate"), told.facts.get("bitrate_kbps")
    return replace(
        believed,
        rate=believed.rate if rate is None else float(rate),
        bitrate_kbps=believed.bitrate_kbps if bitrate_kbps is None else float(bitrate_kbps),
    )


def _after(believed: Believed, told: Told, moved: int, stalls: Stalls) -> Believed:
    plays = told.type in ("started", "resumed") or (told.type == "heartbeat" and moved > 0)
    if told.ends or told.type == "paused":
        return replace(believed, mode="ended" if told.ends else "paused")
    if plays:
        since_ms = None if told.type == "started" else believed.since_seek_ms
        return replace(believed, mode="playing", shown=True, since_seek_ms=since_ms)
    if told.type == "seeked":
        return replace(believed, since_seek_ms=0)
    if told.type.startswith("buffering"):
        return _waiting(believed, stalls) if told.type == "buffering_started" else _fed(believed, told, stalls)
    return replace(believed, in_ad=IN_AD.get(told.type, believed.in_ad))


def _waiting(believed: Believed, stalls: Stalls) -> Believed:
    back_to, kind = believed.back_to if believed.mode == "buffering" else believed.mode, believed.next_kind
    stall = stalls.begin() if kind == "stall" else -1
    return replace(believed, mode="buffering", back_to=back_to, kind=kind, stall=stall)


def _fed(believed: Believed, told: Told, stalls: Stalls) -> Believed:
    lasted_ms = told.facts.get("stalled_ms")
    if lasted_ms is not None and (believed.kind or believed.next_kind) == "stall":
        stalls.said_ms[believed.stall if believed.kind else stalls.begin()] = int(lasted_ms)
    return replace(believed, mode=believed.back_to if believed.mode == "buffering" else believed.mode, kind=None)
