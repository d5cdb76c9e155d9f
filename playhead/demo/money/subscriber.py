"""Plays a part over HTTP: takes a step, waits until the account shows what came of it, takes the next."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from infra.clock import monotonic_s
from playhead.demo.api import Api, Bearer, NotTaken, Reply
from playhead.demo.money.accounts import Accounts
from playhead.demo.money.bills import Account, expected
from playhead.demo.money.director import Director
from playhead.demo.money.parts import (
    WELL,
    Cancel,
    ChangePlan,
    MendCard,
    Part,
    Pause,
    PlayRental,
    Refund,
    Rent,
    Resume,
    Step,
    Subscribe,
    Uncancel,
)
from playhead.demo.money.selling import Counter
from playhead.demo.people.person import Person
from playhead.demo.people.register import Register
from playhead.demo.people.signing import SignIn

TAKEN: Final = (200, 201, 202)
COMES_WITHIN_S: Final = 45.0
LOOKS_EVERY_S: Final = 0.7
SENDS_TWICE_EVERY: Final = 3
"""Every so many accounts send each command twice under its key, as when a reply is lost."""


@dataclass
class Subscriptions:
    """What all accounts share, and what was acknowledged of them: the steps taken, by account, and the positions."""

    commands: Api
    accounts: Accounts
    clerk: SignIn
    register: Register
    counter: Counter
    director: Director
    parts: dict[str, Part] = field(default_factory=dict)
    taken: dict[str, list[Step]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    resent: int = 0

    def expected(self, account_id: str) -> Account:
        """What must have become of an account."""
        return expected(self.parts[account_id], self.taken[account_id])


class Subscriber:
    """One account and the part that it plays."""

    def __init__(self, number: int, person: Person, part: Part, shared: Subscriptions) -> None:
        self.account_id = person.account_id
        self._number = number
        self._part = part
        self._shared = shared
        self._app = person.phone
        self._purchase_id = ""
        self._asked = 0
        shared.parts[self.account_id] = part
        shared.taken[self.account_id] = []

    async def play(self) -> None:
        """All steps, in order; what should have been taken and was not ends it, and is told."""
        await self._shared.director.treat(self.account_id, self._part.rule)
        for step in self._part.steps:
            if not await self.comes_true() or not await self._take(step):
                return
            self._shared.taken[self.account_id].append(step)

    async def comes_true(self) -> bool:
        """Whether the account shows what must have become of it, in time."""
        wanted = self._shared.expected(self.account_id)
        deadline_s = monotonic_s() + COMES_WITHIN_S
        while self._shared.taken[self.account_id]:
            shown = await self._shared.accounts.account(self.account_id, self._shared.clerk)
            if (shown.plan, shown.bills) == (wanted.plan, wanted.bills):
                return True
            if monotonic_s() > deadline_s:
                self._shared.refused.append(f"{self.account_id}, who {self._part.name}: {shown}, expected {wanted}")
                return False
            await asyncio.sleep(LOOKS_EVERY_S)
        return True

    async def _take(self, step: Step) -> bool:  # noqa: PLR0911 - a routing table
        own = f"/v1/subscriptions/{self.account_id}"
        match step:
            case Subscribe(refused=problem):
                return await self._ask("/v1/subscriptions", self._subscription(step), problem)
            case ChangePlan(plan_id=plan_id):
                return await self._ask(f"{own}/change-plan", {"plan_id": plan_id})
            case Cancel(immediately=immediately):
                return await self._ask(f"{own}/cancel", {"immediately": immediately})
            case Uncancel():
                return await self._ask(f"{own}/uncancel", {})
            case Pause():
                return await self._ask(f"{own}/pause", {})
            case Resume():
                return await self._ask(f"{own}/resume", {})
            case Refund(amount_minor=amount_minor):
                return await self._refund(amount_minor)
            case Rent():
                wish = {"offer_id": self._shared.counter.offer_id, "currency": self._part.currency}
                return await self._ask("/v1/purchases", wish)
            case PlayRental():
                return await self._ask(f"/v1/purchases/{self._purchase_id}/start", {})
            case MendCard():
                await self._shared.director.treat(self.account_id, WELL)
                return True

    def _subscription(self, step: Subscribe) -> dict[str, Any]:
        asked = {"plan_id": step.plan_id, "period": step.period, "currency": self._part.currency}
        return {**asked, "coupon": self._shared.counter.coupon} if step.coupon else asked

    async def _refund(self, amount_minor: int | None) -> bool:
        """By billing staff, of the newest invoice."""
        badge = self._shared.clerk
        newest = (await self._shared.accounts.invoices(self.account_id, badge))[-1]
        amount = {"amount": {"amount_minor": amount_minor, "currency": self._part.currency}} if amount_minor else {}
        return await self._ask(f"/v1/invoices/{newest.invoice_id}/refunds", amount, clerk=badge)

    async def _ask(
        self, path: str, body: Mapping[str, Any], problem: str | None = None, *, clerk: SignIn | None = None
    ) -> bool:
        """Whether the API answered as it should. `problem`: with which refusal."""
        self._asked += 1
        reply = await self._post(path, body, clerk or self._app)
        if reply is not None and self._number % SENDS_TWICE_EVERY == 0:
            self._shared.resent += 1
            again = await self._post(path, body, clerk or self._app)
            if again is None or (again.status, again.body) != (reply.status, reply.body):
                self._shared.refused.append(f"{path}: {reply.body!r} at first, {again and again.body!r} when repeated")
                return False
        if reply is None or not self._as_it_should(path, reply, problem):
            return False
        if clerk is not None:
            self._shared.register.done_by_staff(clerk, reply)
        return True

    def _as_it_should(self, path: str, reply: Reply, problem: str | None) -> bool:
        if problem is not None and str(reply.json().get("type")).endswith(problem):
            return True
        if problem is not None or reply.status not in TAKEN:
            told = reply.body[:400].decode(errors="replace")
            self._shared.refused.append(f"{path}: {reply.status} {told}, expected {problem or 'to be taken'}")
            return False
        if path == "/v1/purchases":
            self._purchase_id = reply.json()["id"]
        self._shared.register.ledger.reach(reply.positions)
        return True

    async def _post(self, path: str, body: Mapping[str, Any], badge: Bearer) -> Reply | None:
        key = {"Idempotency-Key": f"{self.account_id}-{self._asked}"}
        try:
            return await self._shared.commands.post(path, badge, lambda: msgspec.json.encode(body), key)
        except NotTaken as error:
            self._shared.refused.append(f"{path}: {error}")
            return None
