"""A player: what happens on its screen, told by a clock that may be wrong, and kept until it is acknowledged."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from events.playback import SessionSnapshot
from tests.builders import EVENING
from tests.players.world import RATES, Doing, Lack, Screening

HEARTBEAT_MS: Final = 10_000
AD_HEARTBEAT_MS: Final = 1_000
BITRATES_KBPS: Final = (0, 600, 1_500, 3_000, 8_000)
Fact = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a session as its player knows it, and what the screen did right after it. `at_ms`: true time."""

    seq: int
    type: str
    at_ms: int
    position_ms: int
    facts: dict[str, Fact]
    doing: Doing
    lack: Lack | None
    in_ad: bool

    @property
    def ends(self) -> bool:
        """Whether the player says that it is over."""
        return self.type in ("completed", "stopped") or bool(self.facts.get("fatal"))


@dataclass
class Sitting:
    """One session on one device. `world_began`: when the world's time was 0, by a clock that is right. `queue`: what
    nobody has acknowledged; `sent`: the highest seq that was ever sent."""

    session: SessionSnapshot
    screen: Screening
    clock_error: timedelta
    from_ms: int = 0
    world_began: datetime = EVENING
    told: list[Told] = field(default_factory=list)
    queue: list[Told] = field(default_factory=list)
    sent: int = -1
    beat_at_ms: int = 0
    beat_ms: int = HEARTBEAT_MS
    stopped: bool = False

    @classmethod
    def begin(cls, session: SessionSnapshot, now_ms: int, from_ms: int, clock_error: timedelta) -> "Sitting":
        """From the viewer's wish to play, which is granted at once."""
        screen = Screening(session.title.duration_ms, now_ms, from_ms)
        world_began = session.started_at - timedelta(milliseconds=now_ms)
        return cls(session, screen, clock_error, from_ms, world_began, beat_at_ms=now_ms)

    def when(self, now_ms: int) -> datetime:
        """A moment of the world by a clock that is right."""
        return self.world_began + timedelta(milliseconds=now_ms)

    @property
    def over(self) -> bool:
        """Whether nothing is on the screen any more."""
        return self.screen.doing is Doing.OVER

    def live_to(self, then_ms: int) -> None:
        """Go on until then, telling what a player tells by itself: that it is there, and that the title is over."""
        while not self.over:
            ends_ms = self.screen.ends_ms
            next_ms = min(then_ms, self.beat_at_ms, then_ms if ends_ms is None else ends_ms)
            self.screen.pass_to(next_ms)
            if next_ms == ends_ms:
                self.screen.end()
                self.tell("completed")
            elif next_ms == self.beat_at_ms:
                self.beat_at_ms += AD_HEARTBEAT_MS if self.screen.in_ad else self.beat_ms
                self.tell("heartbeat", dropped_frames=self.screen.dropped_frames)
            else:
                break
        self.screen.pass_to(then_ms)

    def tell(self, type_: str, **facts: Fact) -> None:
        """Note an event, to be sent."""
        screen = self.screen
        seq, position_ms = len(self.told), screen.playhead_ms
        told = Told(seq, type_, screen.now_ms, position_ms, facts, screen.doing, screen.lack, screen.in_ad)
        self.told.append(told)
        self.queue.append(told)

    def overflow(self) -> None:
        """The oldest of what is not acknowledged is given up, for want of room."""
        del self.queue[:1]

    def abandon(self) -> None:
        """Nothing is on the screen any more, and nobody is told."""
        self.screen.end()
        self.stopped = True

    def report(self, events: list[Told], now_ms: int) -> bytes:
        """A report's body; `sent_at` is fresh."""
        sent_at = self.when(now_ms) + self.clock_error
        return msgspec.json.encode({"sent_at": sent_at, "events": [self.wire(each) for each in events]})

    def wire(self, told: Told) -> dict[str, object]:
        """An event as it is sent."""
        at = self.when(told.at_ms) + self.clock_error
        return {"seq": told.seq, "type": told.type, "at": at, "position_ms": told.position_ms, **told.facts}

    def acknowledged(self, seqs: set[int]) -> None:
        """Forget what was taken."""
        self.queue = [told for told in self.queue if told.seq not in seqs]

    def acts(self) -> list[str]:
        """What may happen next; what leads on to more is there more often."""
        return [name for name, (may, _) in ACTS.items() for _ in range(OFTEN.get(name, 1)) if may(self)]

    def act(self, name: str, number: int) -> None:
        """Have something happen; `number` says how, where that is open."""
        ACTS[name][1](self, number)


def _first_frame(sitting: Sitting, number: int) -> None:
    screen = sitting.screen
    screen.show()
    facts: dict[str, Fact] = {"startup_ms": screen.now_ms - _intent_ms(sitting)} if number % 4 else {}
    if number % 3:
        screen.bitrate_kbps = facts["bitrate_kbps"] = BITRATES_KBPS[number % len(BITRATES_KBPS)]
    sitting.tell("started", **facts)


def _intent_ms(sitting: Sitting) -> int:
    screen = sitting.screen
    return screen.stretches[0].begin_ms if screen.stretches else screen.now_ms


def _again(sitting: Sitting, number: int) -> None:
    sitting.screen.show()
    sitting.tell("started", startup_ms=number)  # as after a change of screens, from a warm player


def _pause(sitting: Sitting, _: int) -> None:
    sitting.screen.pause()
    sitting.tell("paused")


def _resume(sitting: Sitting, _: int) -> None:
    sitting.screen.doing = Doing.PLAYING
    sitting.tell("resumed")


def _seek(sitting: Sitting, number: int) -> None:
    screen = sitting.screen
    from_ms = screen.playhead_ms
    near = (from_ms + 10_000, max(0, from_ms - 10_000), from_ms, screen.duration_ms - 30_000)
    to_ms = near[number % 8] if number % 8 < len(near) else screen.duration_ms * number // 1000
    screen.jump(min(to_ms // 10 * 10, screen.duration_ms))
    sitting.tell("seeked", from_ms=from_ms)


def _starve(sitting: Sitting, _: int) -> None:
    sitting.screen.starve()
    sitting.tell("buffering_started")


def _feed(sitting: Sitting, number: int) -> None:
    waited_ms = sitting.screen.feed()
    sitting.tell("buffering_ended", **({"stalled_ms": waited_ms} if number % 2 else {}))


def _begin_ad(sitting: Sitting, number: int) -> None:
    sitting.screen.in_ad, sitting.screen.stitched = True, number % 3 == 0
    sitting.beat_at_ms = sitting.screen.now_ms
    sitting.tell("ad_break_started")


def _end_ad(sitting: Sitting, _: int) -> None:
    sitting.screen.in_ad = sitting.screen.stitched = False
    sitting.tell("ad_break_ended")


def _change_rate(sitting: Sitting, number: int) -> None:
    sitting.screen.rate = RATES[number % len(RATES)]
    sitting.tell("heartbeat", rate=sitting.screen.rate)


def _change_bitrate(sitting: Sitting, number: int) -> None:
    sitting.screen.bitrate_kbps = bitrate_kbps = BITRATES_KBPS[number % len(BITRATES_KBPS)]
    sitting.tell("bitrate_changed", bitrate_kbps=bitrate_kbps)


def _change_quality(sitting: Sitting, number: int) -> None:
    sitting.tell("quality_changed", rendition=f"{360 * (1 + number % 3)}p")


def _drop_frames(sitting: Sitting, number: int) -> None:
    sitting.screen.dropped_frames += number
    sitting.tell("heartbeat", dropped_frames=sitting.screen.dropped_frames)


def _fail(sitting: Sitting, number: int) -> None:
    fatal = number % 5 == 0
    if fatal:
        sitting.screen.end()
    sitting.tell("error", code=f"E{number % 10}", fatal=fatal)


def _leave(sitting: Sitting, _: int) -> None:
    sitting.screen.end()
    sitting.stopped = True
    sitting.tell("stopped")


def _shows(sitting: Sitting) -> bool:
    return sitting.screen.doing is Doing.PLAYING


def _on(sitting: Sitting) -> bool:
    return not sitting.over


def _may_begin(sitting: Sitting) -> bool:
    return sitting.screen.doing is Doing.STARTING and not sitting.screen.in_ad


def _may_pause(sitting: Sitting) -> bool:
    return _on(sitting) and sitting.screen.shown and sitting.screen.doing is not Doing.PAUSED


def _may_starve(sitting: Sitting) -> bool:
    return sitting.screen.doing in (Doing.STARTING, Doing.PLAYING)


def _may_seek(sitting: Sitting) -> bool:
    screen = sitting.screen
    return _on(sitting) and not screen.in_ad and screen.lack is not Lack.STARTUP


Act = Callable[[Sitting, int], None]
ACTS: dict[str, tuple[Callable[[Sitting], bool], Act]] = {
    "first frame": (_may_begin, _first_frame),
    "first frame again": (lambda sitting: _shows(sitting) and not sitting.screen.in_ad, _again),
    "pause": (_may_pause, _pause),
    "resume": (lambda sitting: sitting.screen.doing is Doing.PAUSED and not sitting.screen.starved, _resume),
    "seek": (_may_seek, _seek),
    "starve": (_may_starve, _starve),
    "feed": (lambda sitting: _on(sitting) and sitting.screen.starved, _feed),
    "begin an ad": (lambda sitting: _may_starve(sitting) and not sitting.screen.in_ad, _begin_ad),
    "end an ad": (lambda sitting: _may_starve(sitting) and sitting.screen.in_ad, _end_ad),
    "change the rate": (lambda sitting: sitting.screen.doing in (Doing.PLAYING, Doing.PAUSED), _change_rate),
    "change the bitrate": (lambda sitting: _on(sitting) and sitting.screen.shown, _change_bitrate),
    "change the quality": (_on, _change_quality),
    "drop frames": (_on, _drop_frames),
    "fail": (_on, _fail),
    "leave": (lambda sitting: not sitting.stopped, _leave),
}
"""What happens on a screen, with when it may, and how it is told."""
OFTEN: Final = {"first frame": 12, "feed": 4, "resume": 4, "end an ad": 3, "seek": 3, "starve": 3, "pause": 2}
