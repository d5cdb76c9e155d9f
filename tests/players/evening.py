"""An evening of two viewers with two devices each: what may happen next, and what the server must say afterwards.

Whoever drives it (hypothesis, or dice) says what happens; nothing is drawn here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from events.playback import TitleSnapshot
from events.types import AccountId, ProfileId, SessionId
from tests.builders import EVENING, MINUTE_MS, device, episode, movie, session
from tests.players.network import Network, Parcel
from tests.players.player import Sitting
from tests.players.server import Server

TITLES: Final[tuple[TitleSnapshot, ...]] = (
    movie(duration_ms=20 * MINUTE_MS, credits_start_ms=None),
    movie("short", duration_ms=3 * MINUTE_MS, credits_start_ms=None),
    episode(1, duration_ms=12 * MINUTE_MS),
)
DAY_S: Final = 86_400
BEATS_MS: Final = (10_000, 10_000, 1_000, 30_000)
"""Of each device, unless told."""


@dataclass
class Device:
    """A device of a viewer. `clock_error`: its clock minus ours. `beat_ms`: how often its players say that they are
    there. `sittings`: its sessions, the newest last. `broken`: its app crashed and was not opened again."""

    number: int
    clock_error: timedelta
    beat_ms: int
    sittings: list[Sitting] = field(default_factory=list)
    broken: bool = False

    @property
    def viewer(self) -> int:
        """Whose it is."""
        return self.number // 2

    @property
    def sitting(self) -> Sitting | None:
        """What is on its screen."""
        return self.sittings[-1] if self.sittings and not self.broken else None


class Evening:
    """The world, its players, the network and the server, at one moment of true time. `name`: no two evenings at one
    server have the same. `began`: when its time was 0."""

    def __init__(
        self,
        clock_errors: Sequence[timedelta],
        server: Server,
        *,
        name: str = "evening",
        began: datetime = EVENING,
        beats_ms: Sequence[int] = BEATS_MS,
    ) -> None:
        self.name = name
        self.began = began
        self.now_ms = 0
        self.devices = [Device(number, error, beats_ms[number]) for number, error in enumerate(clock_errors)]
        self.network = Network()
        self.server = server

    @property
    def sittings(self) -> list[Sitting]:
        """All sessions of the evening."""
        return [sitting for each in self.devices for sitting in each.sittings]

    def pass_time(self, ms: int) -> None:
        """Everybody goes on."""
        self.now_ms += ms
        for each in self.sittings:
            each.live_to(self.now_ms)

    def start(self, on: Device, title: TitleSnapshot, from_ms: int) -> None:
        """A viewer starts a title, leaving what was on."""
        on.broken = False
        if on.sitting is not None and not on.sitting.over:
            on.sitting.act("leave", 0)
        session_id = SessionId(str(uuid5(NAMESPACE_URL, f"{self.name}/{on.number}/{len(on.sittings)}")))
        snapshot = session(
            session_id,
            account_id=AccountId(f"account-{self.name}"),
            profile_id=ProfileId(f"profile-{self.name}-{on.viewer}"),
            started_at=self.began + timedelta(milliseconds=self.now_ms),
            title=title,
            device=device(f"device-{on.number}"),
        )
        sitting = Sitting.begin(snapshot, self.now_ms, from_ms, on.clock_error)
        sitting.beat_ms = on.beat_ms
        on.sittings.append(sitting)
        self.server.start(sitting, from_ms)

    def crash(self, on: Device, *, keeps_queue: bool) -> None:
        """An app dies: nothing more is on its screen, and its queue is on disk or lost."""
        on.broken = True
        for sitting in on.sittings:
            sitting.abandon()
            if not keeps_queue:
                sitting.queue.clear()

    def reopen(self, on: Device) -> None:
        """The app is there again, with what was on disk, and nothing on its screen."""
        on.broken = False

    def send(self, on: Device, which: int, *, only_new: bool, most: int, backwards: bool) -> None:
        """An app sends from the queue of one of its sessions."""
        waiting = [sitting for sitting in on.sittings if sitting.queue]
        if waiting and not on.broken:
            sitting = waiting[-1 - which % len(waiting)]
            self.network.send(sitting, self.now_ms, only_new=only_new, most=most, backwards=backwards)

    def arrive(self, parcel: Parcel, *, reply_lost: bool) -> None:
        """A report arrives; its player hears what was taken, unless the reply is lost."""
        taken = self.server.arrive(parcel, self.now_ms)
        if reply_lost:
            return
        parcel.sitting.acknowledged(taken)
        if self.server.heard[parcel.sitting.session.session_id].closings:
            parcel.sitting.abandon()  # 410: it was told to play no more

    def close(self, sitting: Sitting, how: str) -> None:
        """A session is ended from outside its player, once in each way."""
        if how not in self.server.heard[sitting.session.session_id].closings:
            self.server.close(sitting, how, self.now_ms)

    def deliver_all(self) -> None:
        """Everything that anybody still has arrives, each report backwards, those in flight last."""
        for on in self.devices:
            on.broken = False
            while any(sitting.queue for sitting in on.sittings):
                self.send(on, 0, only_new=False, most=60, backwards=True)
                self.arrive(self.network.take(-1, again=False), reply_lost=False)
        while self.network.in_flight:
            self.arrive(self.network.take(0, again=False), reply_lost=False)
