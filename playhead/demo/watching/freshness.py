"""A probe of freshness: how long from the acknowledgement of a report until continue watching shows its position."""

import asyncio
import math
from collections.abc import Sequence
from typing import Final

from infra.clock import monotonic_s
from playhead.demo.api import Api, Bearer, Reply
from playhead.demo.people.person import Person
from playhead.demo.watching.evening_clock import EveningClock
from playhead.demo.watching.player import OK, Living, Viewer
from playhead.demo.watching.script import BROWSER
from playhead.demo.watching.sitting import Act, Leaving, Moment, Title

INTERVAL_S: Final = 0.25
POLL_S: Final = 0.005
GIVEN_UP_S: Final = 5.0
STEP_MS: Final = 100
"""How far the probe's playhead moves from one report to the next, so that each position is seen only once."""


class Freshness:
    """A viewer of its own, whose reports are watched for; its session is compared with the others at the end."""

    def __init__(self, shared: Living, query: Api, person: Person) -> None:
        self.samples_s: list[float] = []
        self._clock: EveningClock = shared.clock
        self._viewer = Viewer("probe", person, shared)
        self._query = query
        self._person = person

    async def probe(self, titles: Sequence[Title]) -> None:
        """Report and look, again and again, until the evening ends. The query sends no position: it does not wait."""
        title = max(titles, key=lambda title: title.duration_ms)
        act = Act(title, BROWSER, 0, title.duration_ms, Leaving.WALKED_AWAY)
        granted = await self._viewer.start(act)
        if granted is None:
            return
        badge = await self._person.on(BROWSER)
        last_ms = title.credits_start_ms or title.duration_ms // 2
        for seq, position_ms in enumerate(range(0, last_ms, STEP_MS)):
            if self._clock.now_ms >= self._clock.length_ms:
                return
            type_ = "heartbeat" if seq else "started"
            await self._viewer.report(*granted, [Moment(seq, self._clock.now_ms, type_, position_ms)])
            self.samples_s.append(await self._visible_after_s(position_ms, badge))
            await asyncio.sleep(INTERVAL_S)

    @property
    def unseen(self) -> int:
        """How many reports were not visible when the probe gave up on them."""
        return sum(sample_s >= GIVEN_UP_S for sample_s in self.samples_s)

    def percentile_ms(self, share: float) -> float | None:
        """Of the samples so far; the nearest that was measured."""
        if not self.samples_s:
            return None
        ordered = sorted(self.samples_s)
        return 1000 * ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    async def _visible_after_s(self, position_ms: int, badge: Bearer) -> float:
        began_s = monotonic_s()
        path = f"/v1/profiles/{self._viewer.profile_id}/continue-watching"
        while (passed_s := monotonic_s() - began_s) < GIVEN_UP_S:
            reply = await self._query.get_once(path, badge)
            if reply is not None and reply.status == OK and _shows(reply, position_ms):
                return monotonic_s() - began_s
            await asyncio.sleep(POLL_S)
        return passed_s


def _shows(reply: Reply, position_ms: int) -> bool:
    return any(row["position_ms"] >= position_ms for row in reply.json()["items"])
