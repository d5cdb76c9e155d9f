"""Plans: defined, revised, retired. Pure. Each version is a whole; who subscribed keeps the one they saw."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias, assert_never

from commands.decider import Decider
from commands.subscription.refusals import (
    PlanAlreadyDefined,
    PlanNotOnSale,
    PlanUnknown,
    PricesAmbiguous,
    PriceUnknown,
)
from events.envelope import Event
from events.subscription import (
    BillingPeriod,
    PlanDefined,
    PlanLimits,
    PlanPrice,
    PlanRetired,
    PlanRevised,
    PlanTerms,
    PlanVersion,
)
from events.types import PlanId


@dataclass(frozen=True, kw_only=True)
class DefinePlan:
    """Offer a plan to subscribers."""

    plan_id: PlanId
    name: str
    prices: tuple[PlanPrice, ...]
    trial_days: int
    limits: PlanLimits


@dataclass(frozen=True, kw_only=True)
class RevisePlan(DefinePlan):
    """Offer a new version of a plan from now on."""


@dataclass(frozen=True, kw_only=True)
class RetirePlan:
    """Offer the plan to nobody any more."""

    plan_id: PlanId


PlanCommand: TypeAlias = DefinePlan | RevisePlan | RetirePlan


@dataclass(frozen=True)
class PlanState:
    """The newest version, and whether it is on sale."""

    plan: PlanVersion | None = None
    retired: bool = False


def evolve(state: PlanState, event: Event) -> PlanState:
    """The state after an event."""
    match event:
        case PlanDefined(plan=plan) | PlanRevised(plan=plan):
            return replace(state, plan=plan)
        case PlanRetired():
            return replace(state, retired=True)
        case _:
            return state


def decide(command: PlanCommand, state: PlanState, _: datetime) -> list[Event]:
    """The events that a command leads to."""
    match command:
        case RevisePlan():
            return _revise(command, state)
        case DefinePlan():
            return _define(command, state)
        case RetirePlan():
            return [] if _known(state, command.plan_id) and state.retired else [PlanRetired(plan_id=command.plan_id)]
        case _:
            assert_never(command)


def _define(command: DefinePlan, state: PlanState) -> list[Event]:
    plan = _version(command, 1)
    if state.plan is None:
        return [PlanDefined(plan=plan)]
    if state.plan != plan:
        raise PlanAlreadyDefined(f"plan {command.plan_id!r} is defined otherwise; revise it")
    return []


def _revise(command: RevisePlan, state: PlanState) -> list[Event]:
    known = _known(state, command.plan_id)
    if state.retired:
        raise PlanNotOnSale(f"plan {command.plan_id!r} was retired; define another")
    if _version(command, known.version) == known:
        return []
    return [PlanRevised(plan=_version(command, known.version + 1))]


def _known(state: PlanState, plan_id: PlanId) -> PlanVersion:
    if state.plan is None:
        raise PlanUnknown(f"there is no plan {plan_id!r}")
    return state.plan


def _version(command: DefinePlan, version: int) -> PlanVersion:
    places = Counter((price.period, price.price.currency) for price in command.prices)
    if twice := [place for place, count in places.items() if count > 1]:
        raise PricesAmbiguous(f"two prices for a {twice[0][0]} in {twice[0][1]}")
    return PlanVersion(version=version, **vars(command))


def on_sale(state: PlanState, plan_id: PlanId) -> PlanVersion:
    """The version that new subscribers get. Raises PlanUnknown, PlanNotOnSale."""
    plan = _known(state, plan_id)
    if state.retired:
        raise PlanNotOnSale(f"plan {plan_id!r} is not sold any more")
    return plan


def terms_of(plan: PlanVersion, currency: str, period: BillingPeriod) -> PlanTerms:
    """What a subscriber signs up to. Raises PriceUnknown."""
    for price in plan.prices:
        if (price.period, price.price.currency) == (period, currency):
            return PlanTerms(
                plan_id=plan.plan_id,
                version=plan.version,
                name=plan.name,
                period=period,
                price=price.price,
                trial_days=plan.trial_days,
                limits=plan.limits,
            )
    raise PriceUnknown(
        f"plan {plan.plan_id!r} has no price for a {period} in {currency}",
        members={"prices": [{"period": price.period, "currency": price.price.currency} for price in plan.prices]},
    )


PLAN = Decider(PlanState(), decide, evolve)
