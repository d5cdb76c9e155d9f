"""An evening driven by hypothesis: it decides what happens in every step, and the views must hold the truth."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar, Final, TypeAlias

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from projections.playback.playback_sessions import PlaybackSessions
from projections.stores.memory import AnyView
from tests.players.comparing import flipped_back, invented_bookmarks, wrong_histories, wrong_summaries
from tests.players.evening import DAY_S, TITLES, Evening
from tests.players.oracle import is_whole
from tests.players.server import EVERYTHING, Server

DEVICES: Final = st.integers(0, 3)
NUMBERS: Final = st.integers(0, 999)
STEPS_MS: Final = st.sampled_from((40, 400, 1_000, 2_000, 4_960, 9_960, 10_000, 30_000))
Life: TypeAlias = tuple[int, int, int]
"""A device, a number that says what happens there, and for how long things go on before, in ms."""
LIFE: Final = st.tuples(DEVICES, NUMBERS, STEPS_MS)
CLOCK_ERROR: Final = st.one_of(st.just(0), st.integers(-DAY_S, DAY_S), st.sampled_from((-DAY_S, DAY_S)))


def right_view() -> AnyView:
    """The session summaries as they are."""
    return PlaybackSessions(reorder_window=EVERYTHING)


class Untrue(AssertionError):
    """A view holds something else than the truth."""


class Players(RuleBasedStateMachine):
    """Two viewers with two devices each. `steps` and `met`: how many steps all evenings together took, and what was
    met in them."""

    steps: ClassVar[int] = 0
    met: ClassVar[Counter[str]] = Counter()

    def __init__(self, view: Callable[[], AnyView] = right_view, window: int = EVERYTHING) -> None:
        """`view`: makes the view whose rows are compared, in which `window` events of a session wait for a hole."""
        super().__init__()
        self._view = view
        self._window = window
        self._runner = asyncio.Runner()
        self._bookmarks: dict[Any, Any] = {}

    @initialize(errors_s=st.tuples(CLOCK_ERROR, CLOCK_ERROR, CLOCK_ERROR, CLOCK_ERROR))
    def set_the_clocks(self, errors_s: tuple[int, int, int, int]) -> None:
        self.evening = Evening([timedelta(seconds=error_s) for error_s in errors_s], Server(self._view(), self._window))

    @rule(life=LIFE)
    def go_on(self, life: Life) -> None:
        self._live(life)

    @rule(life=LIFE, which=st.integers(0, 2), only_new=st.booleans(), most=st.sampled_from((1, 3, 50, 200)))
    def send(self, life: Life, which: int, only_new: bool, most: int) -> None:
        self._live(life)
        self.evening.send(self.evening.devices[life[0]], which, only_new=only_new, most=most, backwards=False)

    @rule(life=LIFE)
    def send_backwards(self, life: Life) -> None:
        self._live(life)
        self.evening.send(self.evening.devices[life[0]], 0, only_new=False, most=60, backwards=True)

    @precondition(lambda self: self.evening.network.in_flight)
    @rule(life=LIFE, which=NUMBERS, again=st.booleans(), reply_lost=st.booleans())
    def arrive(self, life: Life, which: int, again: bool, reply_lost: bool) -> None:
        self._live(life)
        self.evening.arrive(self.evening.network.take(which, again=again), reply_lost=reply_lost)

    @precondition(lambda self: self.evening.network.in_flight)
    @rule(life=LIFE, which=NUMBERS)
    def lose(self, life: Life, which: int) -> None:
        self._live(life)
        self.evening.network.take(which, again=False)

    @rule(life=LIFE, number=NUMBERS)
    def go_wrong(self, life: Life, number: int) -> None:
        self._live(life)
        device = self.evening.devices[life[0]]
        if device.sitting is None:
            self.evening.reopen(device)
            return
        match number % 24:
            case 0 | 1:
                self.evening.crash(device, keeps_queue=number % 2 == 0)
            case 2 | 3:
                self.evening.close(device.sitting, "expired" if number % 2 else "terminated")
            case 4:
                self.evening.close(device.sittings[number % len(device.sittings)], "expired")
            case 5 | 6 | 7:
                device.sitting.overflow()

    @rule(life=LIFE, again=st.integers(0, 30))
    def look(self, life: Life, again: int) -> None:
        self._live(life)
        self._project(again)

    def teardown(self) -> None:
        """What is known is right as it is, and once everything that was not lost has arrived."""
        try:
            if hasattr(self, "evening"):
                self._project(0)
                self.evening.deliver_all()
                self._project(0)
                self._note()
        finally:
            self._runner.close()

    def _live(self, life: Life) -> None:
        """A step: time passes, and mostly a viewer does something. It belongs to every rule, since hypothesis leaves
        out some rules of each evening."""
        type(self).steps += 1
        on, number, ms = life
        self.evening.pass_time(ms)
        device = self.evening.devices[on]
        if number % 4 == 0:
            return
        acts = device.sitting.acts() if device.sitting and number % 50 != 1 else []
        if device.sitting is None or not acts:
            self.evening.start(device, TITLES[number % len(TITLES)], number % 4 * 20_000)
        else:
            device.sitting.act(acts[number % len(acts)], number // 7)

    def _note(self) -> None:
        """Count what this evening has shown, so that a test can tell whether it shows enough."""
        for heard in self.evening.server.heard.values():
            row = self.evening.server.session_rows()[heard.sitting.session.session_id]
            self.met.update(heard.sitting.told[seq].type for seq in heard.known)
            self.met.update([f"in the end {row.state}", "session", f"exit by {row.exit_reason}"])
            self.met["hole"] += not is_whole(heard)
            self.met["too late"] += len(heard.measured()) < len(heard.known)
            self.met["duplicate"] += any(len(times) > 1 for times in heard.times.values())
            self.met["clock hours wrong"] += abs(heard.sitting.clock_error) > timedelta(hours=1)
            self.met["stall"] += row.stall_count > 0
            self.met["no first frame"] += row.exited_before_video
        self.met["bookmark"] += len(self._bookmarks)

    def _project(self, again: int) -> None:
        server = self.evening.server
        server.catch_up(self._runner, again=again)
        bookmarks = dict(server.rows("continue_watching"))
        wrong = [
            *wrong_summaries(server),
            *wrong_histories(server),
            *flipped_back(server, self._bookmarks, bookmarks),
            *invented_bookmarks(server),
        ]
        if wrong:
            raise Untrue("\n".join(wrong))
        self._bookmarks = bookmarks
