"""Plays scripts over HTTP, as players do: starts, reports, stops, and resends what was not acknowledged."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Final
from uuid import NAMESPACE_URL, uuid5

import msgspec

from infra.clock import utc_now
from playhead.demo.api import Api, Bearer, NotTaken, Refused, Reply, Ticket
from playhead.demo.ledger import AcknowledgedSession, Ledger
from playhead.demo.people.person import Person
from playhead.demo.people.signing import SignIn
from playhead.demo.watching.evening_clock import EveningClock
from playhead.demo.watching.films import MINUTE_MS
from playhead.demo.watching.manners import Delivery, clock_error_ms, counted, deliveries
from playhead.demo.watching.script import Script
from playhead.demo.watching.sitting import Act, Device, Moment, Sitting

GRANTED: Final = 201
OK: Final = 200
NO_CONTENT: Final = 204
CONFLICT: Final = 409
GONE: Final = 410
LIMIT_REACHED: Final = "stream-limit-reached"
TAKEN: Final = ("ok", "warning", "duplicate")
REFRESHED_EVERY_MS: Final = 20 * MINUTE_MS
"""Of the evening, in which apps renew their tokens before they ask for something: it moves faster than tokens age."""


@dataclass(frozen=True)
class Living:
    """What all viewers of an evening share."""

    seed: int
    commands: Api
    clock: EveningClock
    ledger: Ledger


class Viewer:
    """One profile and what it does all evening."""

    def __init__(self, number: int | str, person: Person, shared: Living) -> None:
        self.person = person
        self.watching = False
        self._shared = shared
        self._rng = Random(f"manners/{shared.seed}/{number}")
        self._clock_error = timedelta(milliseconds=clock_error_ms(self._rng))
        self._sessions = 0

    @property
    def profile_id(self) -> str:
        """Whom everything that is watched here is remembered for."""
        return self.person.profile_id

    @property
    def now_ms(self) -> int:
        """How far into the evening it is."""
        return self._shared.clock.now_ms

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
        self._shared.ledger.manners.update(counted(sitting, sent))
        for delivery in sent:
            if delivery.at_ms > sitting.ends_ms:
                late.create_task(self._deliver(session, token, delivery))
            else:
                await self._deliver(session, token, delivery)
        self.watching = False

    async def start(self, act: Act) -> tuple[AcknowledgedSession, Ticket] | None:
        """A session and its playback token; None when it was not granted."""
        try:
            app = await self._app_on(act.device)
            session, reply = await self.ask_to_start(act, app)
            if reply.refuses(CONFLICT, LIMIT_REACHED):
                session, reply = await self._ask_instead(act, app, reply)
            return session, self.granted(session, reply)
        except (NotTaken, Refused) as error:
            self._shared.ledger.refused.append(str(error))
            return None

    async def ask_to_start(
        self, act: Act, app: SignIn, *, unlocked: Ticket | None = None, terminate: Sequence[str] = ()
    ) -> tuple[AcknowledgedSession, Reply]:
        """What the API says to a session of a sign-in; `unlocked`: its token for titles above its limit; `terminate`:
        the codes of streams that are to end for it. Raises NotTaken.
        """
        self._sessions += 1
        device = replace(act.device, device_id=app.device_id)
        session_id = str(uuid5(NAMESPACE_URL, f"{app.profile_id}/{self._sessions}"))
        asked = {
            "title_id": act.title.title_id,
            "device": {"device_id": device.device_id, "type": device.type, "name": device.name},
            "start_position_ms": act.from_ms,
            "session_id": session_id,
            "terminate": terminate,
        }
        reply = await self._post("/v1/playback/sessions", unlocked or app, lambda: msgspec.json.encode(asked))
        number = len(self._shared.ledger.sessions)
        return AcknowledgedSession(session_id, app.profile_id, act.title, device, act.from_ms, number), reply

    async def _ask_instead(self, act: Act, app: SignIn, refused: Reply) -> tuple[AcknowledgedSession, Reply]:
        """Start in the place of what the viewer walked away from. Raises NotTaken."""
        [oldest, *_] = refused.json()["streams"]
        ledger = self._shared.ledger
        ledger.manners["streams ended for the next"] += 1
        ledger.sessions[oldest["session_id"]].terminated = True
        return await self.ask_to_start(act, app, terminate=[oldest["termination_code"]])

    def granted(self, session: AcknowledgedSession, reply: Reply) -> Ticket:
        """The playback token of a session that began. Raises Refused."""
        body = reply.taken("start", GRANTED)
        self._shared.ledger.grant(session)
        self._shared.ledger.reach(reply.positions)
        return Ticket(body["playback_token"], self.person.who.home)

    async def end(self, session: AcknowledgedSession, by: SignIn) -> None:
        """End a session from another device of its account. Raises Refused, NotTaken."""
        reply = await self._post(f"/v1/playback/sessions/{session.session_id}/terminate", by, lambda: b"")
        reply.taken(f"ending {session.session_id}", OK, NO_CONTENT)
        session.terminated = True
        self._shared.ledger.reach(reply.positions)

    async def _app_on(self, device: Device) -> SignIn:
        """The sign-in on a device, with tokens that are not old. Raises NotTaken, Refused."""
        app = await self.person.on(device)
        if app.age_s * 1000 * self._shared.clock.factor > REFRESHED_EVERY_MS:
            await app.renew(app.token)
        return app

    async def _deliver(self, session: AcknowledgedSession, token: Ticket, delivery: Delivery) -> None:
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

    async def report(self, session: AcknowledgedSession, token: Ticket, moments: Sequence[Moment]) -> None:
        """Send a report; what the API asks to have again is sent again."""
        left = list(moments)
        try:
            while left:
                reply = await self.ask_to_report(session, token, left)
                left = self.take_in(session, left, reply)
        except (NotTaken, Refused) as error:
            self._shared.ledger.refused.append(str(error))

    async def ask_to_report(self, session: AcknowledgedSession, token: Ticket, moments: Sequence[Moment]) -> Reply:
        """What the API says to a report. Raises NotTaken."""
        events = [self._wire(moment) for moment in moments]
        path = f"/v1/playback/sessions/{session.session_id}/events"
        return await self._post(path, token, lambda: msgspec.json.encode({"sent_at": self._now(), "events": events}))

    async def _stop(self, session: AcknowledgedSession, token: Ticket, moment: Moment) -> None:
        common = self._wire(moment)
        del common["type"]
        path = f"/v1/playback/sessions/{session.session_id}/stop"
        try:
            reply = await self._post(path, token, lambda: msgspec.json.encode({"sent_at": self._now(), **common}))
            self.take_in(session, [moment], reply)
        except (NotTaken, Refused) as error:
            self._shared.ledger.refused.append(str(error))

    def take_in(self, session: AcknowledgedSession, sent: list[Moment], reply: Reply) -> list[Moment]:
        """Note what a reply acknowledges, a session's that has ended too; what is to be sent again. Raises Refused."""
        ledger = self._shared.ledger
        by_status: dict[str, list[Moment]] = {}
        for moment, status in zip(sent, _statuses(session, sent, reply), strict=True):
            by_status.setdefault(status if status not in TAKEN else "ok", []).append(moment)
        ledger.reach(reply.positions)
        ledger.acknowledge(session, by_status.pop("ok", []))
        again = by_status.pop("retry", [])
        if by_status:
            ledger.refused.append(f"events of {session.session_id}: {reply}")
        return again

    async def _post(self, path: str, bearer: Bearer, body: Callable[[], bytes]) -> Reply:
        ledger = self._shared.ledger
        ledger.reports += 1
        reply = await self._shared.commands.post(path, bearer, body)
        ledger.resent += reply.tries - 1
        return reply

    def _wire(self, moment: Moment) -> dict[str, object]:
        at = self._shared.clock.at(moment.at_ms) + self._clock_error
        return {"seq": moment.seq, "type": moment.type, "at": at, "position_ms": moment.position_ms, **moment.facts}

    def _now(self) -> datetime:
        """What this viewer's clock says."""
        return utc_now() + self._clock_error


def _statuses(session: AcknowledgedSession, sent: Sequence[Moment], reply: Reply) -> list[str]:
    """How each event of a report ended. Raises Refused."""
    body = reply.taken(f"report of {session.session_id}", OK, GONE)
    if body is None:  # the session was gone, silently: what came for it is in its history
        return ["ok"] * len(sent)
    if "results" not in body:
        raise Refused(f"report of {session.session_id}: {reply}")
    session.terminated |= reply.status == GONE
    return [result["status"] for result in body["results"]]
