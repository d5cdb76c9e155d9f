"""Plans in Postgres: the version that new subscribers get."""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from events.envelope import Event, Recorded
from events.registry import members
from events.subscription import PlanDefined, PlanEvent, PlanLimits, PlanPrice, PlanRetired, PlanRevised
from events.topics import SUBSCRIPTION
from projections.views import KeyedView


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A row."""

    plan_id: str
    version: int
    name: str
    prices: tuple[PlanPrice, ...]
    trial_days: int
    limits: PlanLimits
    on_sale: bool
    defined_at: datetime
    revised_at: datetime


class Plans(KeyedView[Plan, str]):
    """The newest version of each plan; a retired one stays, not on sale."""

    name = "subscription_plans"
    row = Plan
    topics = (SUBSCRIPTION,)
    events = members(PlanEvent)

    def key(self, recorded: Recorded[Event]) -> str:
        """The plan."""
        event = recorded.data
        assert isinstance(event, PlanEvent)
        return event.plan_id if isinstance(event, PlanRetired) else event.plan.plan_id

    def project(self, row: Plan | None, recorded: Recorded[Event]) -> Plan | None:
        """The plan after it was defined, revised or retired."""
        at = recorded.envelope.time
        match recorded.data:
            case PlanDefined(plan=plan) | PlanRevised(plan=plan):
                return Plan(
                    plan_id=plan.plan_id,
                    version=plan.version,
                    name=plan.name,
                    prices=plan.prices,
                    trial_days=plan.trial_days,
                    limits=plan.limits,
                    on_sale=True,
                    defined_at=row.defined_at if row else at,
                    revised_at=at,
                )
            case PlanRetired() if row is not None:
                return replace(row, on_sale=False)
            case _:
                return row
