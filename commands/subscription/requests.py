"""What the routes of this context work with: its deciders on the resources of the process."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

import msgspec
from fastapi import Depends, Request, Response

from commands.decider import Decider
from commands.dependencies import Resources, describe, keyed_terms, resources
from commands.handling import Outcome, Step, Target, Terms
from commands.replies import Recorded
from commands.subscription.commands import SubscriptionCommand
from commands.subscription.coupons import COUPON, RedeemCoupon, terms_of_coupon
from commands.subscription.installation import Deciders, of_account
from commands.subscription.plans import PLAN, on_sale
from commands.subscription.streams import PostgresStreams, state_of
from events.subscription import CouponTerms, PlanVersion
from events.types import AccountId, CouponCode, PlanId

REPLY: Final = "select request_digest, reply, place from idempotency where key = $1"

C = TypeVar("C")
S = TypeVar("S")


@dataclass(frozen=True)
class Desk:
    """One request's way to the streams."""

    opened: Resources
    deciders: Deciders
    terms: Terms
    response: Response

    async def first_reply(self) -> Recorded | None:
        """The reply to this request when it was handled before, whatever became of its plan or coupon since. Raises
        IdempotencyKeyReused."""
        request = self.terms.idempotency
        assert request is not None
        row = await self.opened.pool.fetchrow(REPLY, request.key)
        if row is None:
            return None
        request.check(row["request_digest"])
        outcome = msgspec.json.decode(row["reply"], type=Outcome)
        return self._reply(msgspec.structs.replace(outcome, position=row["place"]))

    async def state(self, stream_id: str, decider: Decider[C, S]) -> S:
        """What a stream adds up to, read without its lock."""
        return await state_of(PostgresStreams(self.opened.pool), stream_id, decider)

    async def plan(self, plan_id: str) -> PlanVersion:
        """The version of a plan that is on sale. Raises PlanUnknown, PlanNotOnSale."""
        return on_sale(await self.state(f"subscription.plan-{plan_id}", PLAN), PlanId(plan_id))

    async def coupon(self, code: str) -> CouponTerms:
        """What a coupon takes off. Raises CouponUnknown."""
        return terms_of_coupon(await self.state(f"subscription.coupon-{code}", COUPON), CouponCode(code))

    async def handle(self, command: C, decider: Decider[C, Any], target: Target) -> Recorded:
        """One command against its stream."""
        return self._reply(await self.opened.handling.handle(command, decider=decider, target=target, terms=self.terms))

    async def command(
        self, command: SubscriptionCommand, account_id: AccountId, redeeming: CouponTerms | None = None
    ) -> Recorded:
        """A command of an account; a coupon is redeemed in the same transaction, so that its limit holds."""
        steps: list[Step[Any, Any]] = [Step(command, self.deciders.subscription, of_account(account_id))]
        if redeeming:
            redeem = RedeemCoupon(code=redeeming.code, account_id=account_id)
            steps.append(Step(redeem, COUPON, Target(redeeming.code, f"subscription.coupon-{redeeming.code}")))
        return self._reply(await self.opened.handling.handle_together(steps, self.terms))

    def _reply(self, outcome: Outcome) -> Recorded:
        describe(self.response, outcome)
        return Recorded.of(outcome)


async def _desk(
    request: Request,
    response: Response,
    opened: Annotated[Resources, Depends(resources)],
    asked: Annotated[Terms, Depends(keyed_terms)],
) -> Desk:
    return Desk(opened, request.app.state.subscription_deciders, asked, response)


At = Annotated[Desk, Depends(_desk)]
