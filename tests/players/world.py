"""What really happens on a screen, in true time: no player's clock, no report and no server is known here.

Times are milliseconds since the world began. Time passes in whole ticks, so that every rate moves the playhead by whole
milliseconds.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

TICK_MS: Final = 40
LANDING_MS: Final = 1_000
"""A screening that has not shown more than this since a jump is still busy with the jump (docs/measures.md)."""
RATES: Final = (0.5, 1.0, 1.25, 1.5, 2.0, 4.0)


class Doing(StrEnum):
    """What a screening does; the values are the states that clients are shown."""

    STARTING = "starting"
    PLAYING = "playing"
    PAUSED = "paused"
    WAITING = "buffering"
    OVER = "ended"


class Lack(StrEnum):
    """Why it waits for data: before the first frame, after a jump, or because the data ran out."""

    STARTUP = "startup"
    SEEK = "seek"
    STALL = "stall"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of true time in which one thing went on, and where the playhead went in it."""

    begin_ms: int
    end_ms: int
    doing: Doing
    lack: Lack | None
    in_ad: bool
    from_ms: int
    to_ms: int
    rate: float
    bitrate_kbps: int | None

    @property
    def lasted_ms(self) -> int:
        """In true time."""
        return self.end_ms - self.begin_ms

    @property
    def shows_title(self) -> bool:
        """Whether the title itself was played."""
        return self.doing is Doing.PLAYING and not self.in_ad

    @property
    def played_ms(self) -> float:
        """How long the title was played; the last moment of a title may be shorter than a tick."""
        return (self.to_ms - self.from_ms) / self.rate if self.shows_title else 0

    @property
    def stalled_ms(self) -> int:
        """How long the viewer stood waiting for data that had run out."""
        return self.lasted_ms if self.lack is Lack.STALL and not self.in_ad else 0


@dataclass
class Screening:
    """One title on one screen, from the intent to play it. `stitched`: the running ad moves the playhead along."""

    duration_ms: int
    now_ms: int
    playhead_ms: int
    doing: Doing = Doing.STARTING
    lack: Lack | None = None
    in_ad: bool = False
    stitched: bool = False
    rate: float = 1.0
    bitrate_kbps: int | None = None
    dropped_frames: int = 0
    since_jump_ms: int | None = None
    shown: bool = False
    starved: bool = False
    waiting_since_ms: int = 0
    waited_ms: int = 0
    stretches: list[Stretch] = field(default_factory=list)

    @property
    def moves(self) -> bool:
        """Whether the playhead goes forward."""
        return self.doing is Doing.PLAYING and (self.stitched or not self.in_ad)

    @property
    def ends_ms(self) -> int | None:
        """When the title is played to its end if nothing else happens: the tick after its last frame."""
        if not self.moves or self.in_ad:
            return None
        ticks = -int((self.playhead_ms - self.duration_ms) / self.rate // TICK_MS)
        return self.now_ms + ticks * TICK_MS

    def pass_to(self, then_ms: int) -> None:
        """Let what goes on go on."""
        if then_ms > self.now_ms and self.doing is not Doing.OVER:
            moved_ms = int((then_ms - self.now_ms) * self.rate) if self.moves else 0
            to_ms = max(self.playhead_ms, min(self.playhead_ms + moved_ms, self.duration_ms))
            self.stretches.append(self._stretch(then_ms, to_ms))
            self._leave_the_jump(to_ms - self.playhead_ms)
            self.playhead_ms = to_ms
        self.now_ms = then_ms

    def show(self) -> None:
        """The first frame."""
        self.doing, self.shown, self.since_jump_ms = Doing.PLAYING, True, None

    def jump(self, to_ms: int) -> None:
        """The viewer goes somewhere else in the title."""
        self.playhead_ms, self.since_jump_ms = to_ms, 0

    def starve(self) -> None:
        """There is no data to play."""
        played = Lack.STALL if self.since_jump_ms is None else Lack.SEEK
        self.doing, self.lack = Doing.WAITING, played if self.shown else Lack.STARTUP
        self.starved, self.waiting_since_ms = True, self.now_ms

    def feed(self) -> int:
        """There is data again, and it goes on unless the viewer paused meanwhile; how long the viewer waited."""
        if self.doing is Doing.WAITING:
            self._wait_no_more(Doing.PLAYING if self.shown else Doing.STARTING)
        self.starved = False
        return self.waited_ms

    def pause(self) -> None:
        """The viewer wants to see nothing for a while, data or not."""
        if self.doing is Doing.WAITING:
            self._wait_no_more(Doing.PAUSED)
        self.doing = Doing.PAUSED

    def end(self) -> None:
        """Nothing is on the screen any more."""
        self.doing, self.lack = Doing.OVER, None

    def _wait_no_more(self, doing: Doing) -> None:
        self.waited_ms = self.now_ms - self.waiting_since_ms
        self.doing, self.lack = doing, None

    def _leave_the_jump(self, moved_ms: int) -> None:
        if self.since_jump_ms is None or self.in_ad:
            return
        shown_ms = self.since_jump_ms + moved_ms
        self.since_jump_ms = None if shown_ms > LANDING_MS else shown_ms

    def _stretch(self, then_ms: int, to_ms: int) -> Stretch:
        return Stretch(
            self.now_ms,
            then_ms,
            self.doing,
            self.lack,
            self.in_ad,
            self.playhead_ms,
            to_ms,
            self.rate,
            self.bitrate_kbps,
        )
