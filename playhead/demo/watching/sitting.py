"""One viewer in front of one title: everything that the player notices, in order. Pure; chance comes in as a Random.

Times are milliseconds into the simulated evening, positions milliseconds into the title.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Final

from playhead.demo.watching.films import MINUTE_MS, SECOND_MS

HEARTBEAT_MS: Final = 10 * SECOND_MS
SETTLED_MS: Final = 90 * SECOND_MS
"""Before this nobody pauses or seeks: a viewer first finds out whether this is what they want to watch."""
BITRATES_KBPS: Final = {"480p": 1_200, "720p": 2_800, "1080p": 5_200, "2160p": 14_000}


@dataclass(frozen=True, slots=True)
class Title:
    """What the catalog holds of something to play."""

    title_id: str
    name: str
    duration_ms: int
    credits_start_ms: int | None = None
    series_id: str | None = None
    next_title_id: str | None = None

    @property
    def shelf(self) -> str:
        """What continue watching keeps one row of: the series, or the film itself."""
        return self.series_id or self.title_id


@dataclass(frozen=True, slots=True)
class Device:
    """Where a viewer watches."""

    device_id: str
    type: str
    name: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One event as the player will report it. `facts`: what its type says beside the common fields."""

    seq: int
    at_ms: int
    type: str
    position_ms: int
    facts: Mapping[str, object] = field(default_factory=dict)


class Leaving(StrEnum):
    """How a sitting ends, if nothing goes wrong before."""

    AT_THE_END = "at the end"
    AT_THE_CREDITS = "at the credits"
    STOPPED = "stopped"
    SWITCHED = "switched"
    WALKED_AWAY = "walked away"


@dataclass(frozen=True, slots=True)
class Act:
    """What a viewer sets out to do: play `title` from one position to another, and leave in some way."""

    title: Title
    device: Device
    from_ms: int
    leaves_at_ms: int
    leaving: Leaving


@dataclass(frozen=True, slots=True)
class Sitting:
    """What came of an act. `failed`: a fatal error ended it."""

    act: Act
    starts_ms: int
    ends_ms: int
    position_ms: int
    moments: tuple[Moment, ...]
    failed: bool

    @property
    def finished(self) -> bool:
        """Whether the title was seen to its credits or its end."""
        leaving = self.act.leaving in (Leaving.AT_THE_END, Leaving.AT_THE_CREDITS)
        return leaving and not self.failed and self.position_ms >= self.act.leaves_at_ms


def sit(act: Act, starts_ms: int, until_ms: int, rng: Random) -> Sitting:
    """Play an act, until it is over or the evening is, at `until_ms`."""
    player = _Player(act, starts_ms, until_ms, rng)
    player.show_first_frame()
    while player.position_ms < act.leaves_at_ms and player.now_ms < until_ms and not player.failed:
        player.play(HEARTBEAT_MS)
        if player.position_ms < act.leaves_at_ms:
            player.heartbeat()
            player.meet_an_incident()
    if not player.failed:
        player.leave()
    return Sitting(act, starts_ms, player.now_ms, player.position_ms, tuple(player.moments), player.failed)


class _Player:
    """A player's state while it plays."""

    def __init__(self, act: Act, starts_ms: int, until_ms: int, rng: Random) -> None:
        self.now_ms = starts_ms
        self.position_ms = act.from_ms
        self.moments: list[Moment] = []
        self.failed = False
        self._act = act
        self._until_ms = until_ms
        self._rng = rng
        self._played_ms = 0
        self._rendition = "1080p"

    def note(self, type_: str, **facts: object) -> None:
        self.moments.append(Moment(len(self.moments), self.now_ms, type_, self.position_ms, facts))

    def show_first_frame(self) -> None:
        startup_ms = self._rng.randint(250, 2_500)
        self.now_ms += startup_ms
        self.note("started", startup_ms=startup_ms)

    def play(self, most_ms: int) -> None:
        """Let the playhead run, to where the viewer leaves at the furthest."""
        played_ms = max(0, min(most_ms, self._act.leaves_at_ms - self.position_ms))
        self.now_ms += played_ms
        self.position_ms += played_ms
        self._played_ms += played_ms

    def heartbeat(self) -> None:
        kbps = BITRATES_KBPS[self._rendition]
        self.note("heartbeat", bitrate_kbps=kbps, buffer_ms=self._rng.randint(4_000, 30_000))

    def meet_an_incident(self) -> None:
        """Now and then something happens."""
        incidents = (self.adapt, self.stall, self.pause, self.seek, self.stumble, self.fail)
        [incident] = self._rng.choices((None, *incidents), weights=(820, 70, 40, 30, 25, 12, 3))
        if incident is not None and self._played_ms >= SETTLED_MS:
            incident()

    def adapt(self) -> None:
        self._rendition = self._rng.choice(list(BITRATES_KBPS))
        self.note("bitrate_changed", bitrate_kbps=BITRATES_KBPS[self._rendition])
        self.note("quality_changed", rendition=self._rendition)

    def stall(self) -> None:
        self.note("buffering_started")
        stalled_ms = self._rng.randint(500, 6_000)
        self.now_ms += stalled_ms
        self.note("buffering_ended", stalled_ms=stalled_ms)

    def pause(self) -> None:
        self.note("paused")
        paused_ms = self._rng.randint(5 * SECOND_MS, 2 * MINUTE_MS)
        self.now_ms += max(0, min(paused_ms, self._until_ms - self.now_ms))
        self.note("resumed")

    def seek(self) -> None:
        """Ten seconds back for what was not understood, or ahead past what is known."""
        from_ms = self.position_ms
        jump_ms = self._rng.choice((-10, -10, -30, 30, 60)) * SECOND_MS
        self.position_ms = max(0, min(from_ms + jump_ms, self._act.leaves_at_ms - HEARTBEAT_MS))
        self.note("seeked", from_ms=from_ms)

    def stumble(self) -> None:
        self.note("error", code="SEGMENT_TIMEOUT", fatal=False)

    def fail(self) -> None:
        self.note("error", code="DRM_LICENSE_LOST", fatal=True)
        self.failed = True

    def leave(self) -> None:
        if self.position_ms >= self._act.title.duration_ms:
            self.note("completed")
        if self._act.leaving is not Leaving.WALKED_AWAY:
            self.note("stopped")
