"""What one viewer does all evening: which titles, on which devices, how far, and what comes after. Pure and seeded.

Viewer 0 always begins with the same three acts (an episode to its end, half of the next on the television, the rest on
the phone), so that every evening has somebody worth showing.
"""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Final

from playhead.demo.watching.films import FOR_SUBSCRIBERS, MINUTE_MS, SECOND_MS
from playhead.demo.watching.sitting import Act, Device, Leaving, Sitting, Title, sit

TELEVISION: Final = Device("living-room-tv", "tv", "Living room")
PHONE: Final = Device("phone", "phone", "Phone")
BROWSER: Final = Device("laptop", "web", "Laptop")
DEVICES: Final = (TELEVISION, PHONE, BROWSER)

WORTH_STARTING_MS: Final = MINUTE_MS
"""Nobody starts anything in the last minute of the evening."""
LATEST_ARRIVAL_MS: Final = 5 * MINUTE_MS
BETWEEN_MS: Final = (10 * SECOND_MS, 90 * SECOND_MS)
FINISHES: Final = (Leaving.AT_THE_END, Leaving.AT_THE_CREDITS)


def free_of(titles: Iterable[Title]) -> list[Title]:
    """Those that anybody may watch."""
    return [title for title in titles if title.name != FOR_SUBSCRIBERS]


class Script:
    """One viewer's evening, made as it goes; the same seed and number give the same one."""

    def __init__(self, number: int, titles: Sequence[Title], length_ms: int, seed: int) -> None:
        """`number` is the viewer's, `length_ms` the evening's."""
        self._rng = Random(f"{seed}/{number}")
        self._titles = list(titles)
        self._by_id = {title.title_id: title for title in titles}
        self._length_ms = length_ms
        self._first = number == 0
        self._left_off: dict[str, tuple[Title, int]] = {}

    def sittings(self) -> Iterator[Sitting]:
        """The sittings, in order; each begins after the one before has ended."""
        now_ms = 0 if self._first else self._rng.randrange(LATEST_ARRIVAL_MS)
        act = self._opening() if self._first else self._choose()
        while now_ms < self._length_ms - WORTH_STARTING_MS:
            sitting = sit(act, now_ms, self._length_ms, self._rng)
            yield sitting
            self._remember(sitting)
            now_ms = sitting.ends_ms + self._rng.randint(*BETWEEN_MS)
            act = self._after(sitting)

    def _opening(self) -> Act:
        episodes = [title for title in self._titles if title.next_title_id is not None]
        return self._finishing(episodes[0] if episodes else self._titles[0], TELEVISION)

    def _after(self, sitting: Sitting) -> Act:
        """What follows from how the last sitting ended, else something else."""
        act = sitting.act
        following = self._by_id.get(act.title.next_title_id or "")
        if sitting.failed:
            return self._acting(act.title, act.device, sitting.position_ms)
        if act.leaving is Leaving.SWITCHED:
            other = PHONE if act.device is not PHONE else TELEVISION
            return self._acting(act.title, other, sitting.position_ms)
        if sitting.finished and following is not None and (self._first or self._rng.random() < 0.8):
            if self._first:
                self._first = False
                return self._switching(following, act.device, 0)
            return self._acting(following, act.device, 0)
        return self._choose()

    def _choose(self) -> Act:
        """Back out of something begun earlier, go on with it, or begin anew."""
        device = self._rng.choice(DEVICES)
        chance = self._rng.random()
        if self._left_off and chance < 0.12:
            return self._backing_out(device)
        if self._left_off and chance < 0.45:
            title, position_ms = self._left_off[self._rng.choice(sorted(self._left_off))]
            return self._acting(title, device, position_ms)
        return self._acting(self._new_title(), device, 0)

    def _new_title(self) -> Title:
        """A film, or as often as not an episode: the first, or the one that someone else watches."""
        episodes = [title for title in self._titles if title.series_id]
        films = [title for title in self._titles if not title.series_id]
        return self._rng.choice(episodes[:3] if episodes and self._rng.random() < 0.5 else films or episodes)

    def _acting(self, title: Title, device: Device, from_ms: int) -> Act:
        chance = self._rng.random()
        if chance < 0.5:
            return self._finishing(title, device, from_ms)
        if chance < 0.7:
            return self._switching(title, device, from_ms)
        leaving = Leaving.STOPPED if chance < 0.87 else Leaving.WALKED_AWAY
        return Act(title, device, from_ms, self._midway(title, from_ms), leaving)

    def _finishing(self, title: Title, device: Device, from_ms: int = 0) -> Act:
        credits_ms = title.credits_start_ms
        if credits_ms is not None and self._rng.random() < 0.7:
            leaves_at_ms = min(max(credits_ms, from_ms) + self._rng.randint(1, 8) * SECOND_MS, title.duration_ms)
            return Act(title, device, from_ms, leaves_at_ms, Leaving.AT_THE_CREDITS)
        return Act(title, device, from_ms, title.duration_ms, Leaving.AT_THE_END)

    def _switching(self, title: Title, device: Device, from_ms: int) -> Act:
        return Act(title, device, from_ms, self._midway(title, from_ms), Leaving.SWITCHED)

    def _backing_out(self, device: Device) -> Act:
        """Open what was begun earlier, from its start and by mistake, and leave: the place must not be lost (R4)."""
        title, _ = self._left_off[self._rng.choice(sorted(self._left_off))]
        return Act(title, device, 0, min(self._rng.randint(4, 17) * SECOND_MS, title.duration_ms), Leaving.STOPPED)

    def _midway(self, title: Title, from_ms: int) -> int:
        left_ms = title.duration_ms - from_ms
        return from_ms + int(left_ms * self._rng.uniform(0.2, 0.7))

    def _remember(self, sitting: Sitting) -> None:
        title = sitting.act.title
        if sitting.finished:
            self._left_off.pop(title.shelf, None)
        elif sitting.position_ms - sitting.act.from_ms > WORTH_STARTING_MS:
            self._left_off[title.shelf] = (title, sitting.position_ms)
