"""Plays scripts over HTTP, as players do: starts, reports, stops, and resends what was not acknowledged."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import msgspec

from infra.clock import monotonic_s, utc_now
from playhead.demo.api import Api, Badges, NotTaken, Reply
from playhead.demo.ledger import AcknowledgedSession, Ledger
from playhead.demo.manners import Delivery, clock_error_ms, deliveries
from playhead.demo.script import Script
from playhead.demo.sitting import Act, Leaving, Moment, Sitting

GRANTED: Final = 201
OK: Final = 200
TAKEN: Final = ("ok", "warning", "duplicate")
OVERTIME_S: Final = 5.0
"""How long after the evening's end viewers still send what is left; on a machine that is too slow, some never do."""


class EveningClock:
    """Simulated time: `length_ms` of evening pass in `seconds`, and the evening ends now.

    It began as long ago as it is long, so that what players say lies in the past and as far apart as it would be.
    """

    def __init__(self, seconds: float, length_ms: int) -> None:
        self.length_ms = length_ms
        self.factor = length_ms / (seconds * 1000)
        self._began_s = monotonic_s()
        self._begins_at = utc_now() + timedelta(seconds=seconds) - timedelta(milliseconds=length_ms)

    @property
    def now_ms(self) -> int:
        """How far into the evening it is."""
        return int((monotonic_s() - self._began_s) * 1000 * self.factor)

    @property
    def over(self) -> bool:
        """Whether it is past its end, and past what a machine that keeps up needs to send the rest."""
        return self.now_ms > self.length_ms + OVERTIME_S * 1000 * self.factor

    def at(self, evening_ms: int) -> datetime:
        """When a moment of the evening was."""
        return self._begins_at + timedelta(milliseconds=evening_ms)

    async def until(self, evening_ms: int) -> None:
        """Sleep until then, or the evening's end."""
        left_ms = min(evening_ms, self.length_ms) - self.now_ms
        if left_ms > 0:
            await asyncio.sleep(left_ms / 1000 / self.factor)


@dataclass(frozen=True)
class Living:
    """What all viewers of an evening share. `run`: what sets this evening's ids apart from another's."""

    run: str
    seed: int
    commands: Api
    badges: Badges
    clock: EveningClock
    ledger: Ledger


class Viewer:
    """One profile and what it does all evening."""

    def __init__(self, number: int | str, shared: Living) -> None:
        self.profile_id = f"{shared.run}-viewer-{number}"
        self.watching = False
        self._number = number
        self._shared = shared
        self._rng = Random(f"manners/{shared.seed}/{number}")
        self._clock_error = timedelta(milliseconds=clock_error_ms(self._rng))
        self._badge = shared.badges.viewer(self.profile_id)
        self._sessions = 0

    async def spend_the_evening(self, script: Script) -> None:
        """Play the script to its end."""
        if abs(self._clock_error) > timedelta(seconds=30):
            self._shared.ledger.manners["clocks minutes wrong"] += 1
        async with asyncio.TaskGroup() as late:
            for sitting in script.sittings():
                await self._shared.clock.until(sitting.starts_ms)
                if self._shared.clock.over:
                    break
                await self._watch(sitting, late)

    async def _watch(self, sitting: Sitting, late: asyncio.TaskGroup) -> None:
        granted = await self.start(sitting.act)
        if granted is None:
            return
        self.watching = True
        session, token = granted
        sent = deliveries(sitting, self._rng)
        _count_manners(self._shared.ledger, sitting, sent)
        for delivery in sent:
            if delivery.at_ms > sitting.ends_ms:
                late.create_task(self._deliver(session, token, delivery))
            else:
                await self._deliver(session, token, delivery)
        self.watching = False

    async def start(self, act: Act) -> tuple[AcknowledgedSession, str] | None:
        """A session and its playback token; None when it was not granted."""
        self._sessions += 1
        ledger = self._shared.ledger
        session_id = str(uuid5(NAMESPACE_URL, f"{self.profile_id}/{self._sessions}"))
        body = msgspec.json.encode(
            {
                "title_id": act.title.title_id,
                "device": {"device_id": act.device.device_id, "type": act.device.type, "name": act.device.name},
                "start_position_ms": act.from_ms,
                "session_id": session_id,
            }
        )
        reply = await self._post("/v1/playback/sessions", self._badge, lambda: body)
        if reply is None or reply.status != GRANTED:
            self._refused("start", reply)
            return None
        session = AcknowledgedSession(
            session_id, self.profile_id, act.title, act.device, act.from_ms, len(ledger.sessions)
        )
        ledger.grant(session)
        ledger.reach(reply.positions)
        return session, reply.json()["playback_token"]

    async def _deliver(self, session: AcknowledgedSession, token: str, delivery: Delivery) -> None:
        await self._shared.clock.until(delivery.at_ms)
        if self._shared.clock.over:
            self._shared.ledger.manners["reports never sent, for want of time"] += 1
            return
        if delivery.reply_lost:
            self._shared.ledger.resent += 1
            await self.report(session, token, delivery.moments)
        if delivery.stop:
            await self._stop(session, token, delivery.moments[0])
        else:
            await self.report(session, token, delivery.moments)

    async def report(self, session: AcknowledgedSession, token: str, moments: Sequence[Moment]) -> None:
        """Send a report; what the API asks to have again is sent again."""
        path = f"/v1/playback/sessions/{session.session_id}/events"
        left = list(moments)
        while left:
            events = [self._wire(moment) for moment in left]
            reply = await self._post(path, token, lambda events=events: self._report(events))
            if reply is None or reply.status != OK:
                self._refused(f"report of {session.session_id}", reply)
                return
            left = self._take_in(session, left, reply)

    async def _stop(self, session: AcknowledgedSession, token: str, moment: Moment) -> None:
        common = self._wire(moment)
        del common["type"]
        path = f"/v1/playback/sessions/{session.session_id}/stop"
        reply = await self._post(path, token, lambda: msgspec.json.encode({"sent_at": self._now(), **common}))
        if reply is None or reply.status != OK:
            self._refused(f"stop of {session.session_id}", reply)
        else:
            self._take_in(session, [moment], reply)

    def _take_in(self, session: AcknowledgedSession, sent: list[Moment], reply: Reply) -> list[Moment]:
        """Note what a reply acknowledges; what is to be sent again."""
        ledger = self._shared.ledger
        by_status: dict[str, list[Moment]] = {}
        for moment, result in zip(sent, reply.json()["results"], strict=True):
            status = result["status"] if result["status"] not in TAKEN else "ok"
            by_status.setdefault(status, []).append(moment)
        ledger.reach(reply.positions)
        ledger.acknowledge(session, by_status.pop("ok", []))
        again = by_status.pop("retry", [])
        if by_status:
            self._refused(f"events of {session.session_id}", reply)
        return again

    async def _post(self, path: str, token: str, body: Any) -> Reply | None:
        ledger = self._shared.ledger
        ledger.reports += 1
        try:
            reply = await self._shared.commands.post(path, token, body)
        except NotTaken as error:
            ledger.refused.append(str(error))
            return None
        ledger.resent += reply.tries - 1
        return reply

    def _refused(self, what: str, reply: Reply | None) -> None:
        if reply is not None:
            self._shared.ledger.refused.append(f"{what}: {reply.status} {reply.body[:400].decode(errors='replace')}")

    def _report(self, events: list[dict[str, object]]) -> bytes:
        return msgspec.json.encode({"sent_at": self._now(), "events": events})

    def _wire(self, moment: Moment) -> dict[str, object]:
        at = self._shared.clock.at(moment.at_ms) + self._clock_error
        return {"seq": moment.seq, "type": moment.type, "at": at, "position_ms": moment.position_ms, **moment.facts}

    def _now(self) -> datetime:
        """What this viewer's clock says."""
        return utc_now() + self._clock_error


def _count_manners(ledger: Ledger, sitting: Sitting, sent: Sequence[Delivery]) -> None:
    seqs = [moment.seq for delivery in sent for moment in delivery.moments]
    ledger.manners["reports out of order"] += sum(
        before.moments[0].seq > after.moments[0].seq for before, after in pairwise(sent)
    )
    ledger.manners["events out of order"] += sum(before > after for before, after in pairwise(seqs))
    ledger.manners["replies lost"] += sum(delivery.reply_lost for delivery in sent)
    ledger.manners["reports after the viewer left"] += sum(delivery.at_ms > sitting.ends_ms for delivery in sent)
    ledger.manners["fatal errors"] += sitting.failed
    ledger.manners["titles finished"] += sitting.finished
    ledger.manners["walked away"] += sitting.act.leaving is Leaving.WALKED_AWAY
    ledger.manners["device switches"] += sitting.act.leaving is Leaving.SWITCHED
