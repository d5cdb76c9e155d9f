"""How many profiles and devices an account may have: from the read model of its subscription, so a moment old at most.

Whoever leaves a plan keeps what is there, and can only add no more.
"""

from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from events.subscription import PlanLimits
from infra.postgres import Pool
from infra.settings import Settings

SUBSCRIPTION: Final = """
select terms from subscriptions where account_id = $1 and case
    when status = 'canceled' then ends_at > $2
    when status = 'paused' then resumes_at <= $2 and coalesce(grace_until + (resumes_at - paused_at), 'infinity') > $2
    else status in ('trialing', 'active', 'grace') and coalesce(grace_until, 'infinity') > $2
end
"""
"""What is paid at a time, whatever timers have not said yet, as query_api/subscription/entitlement.py has it: a pause
that is over has moved all that follows by its length."""


class _Terms(msgspec.Struct):
    """What is read of PlanTerms."""

    limits: PlanLimits


class Allowances(NamedTuple):
    """How many of each."""

    profiles: int
    devices: int


async def allowances_of(pool: Pool, account_id: str, now: datetime, settings: Settings) -> Allowances:
    """What the account's plan allows, or what an account without a plan may have."""
    row: Any = await pool.fetchrow(SUBSCRIPTION, account_id, now)
    if row is None:
        return Allowances(settings.profiles_without_plan, settings.devices_without_plan)
    limits = msgspec.json.decode(row["terms"], type=_Terms).limits
    return Allowances(min(limits.profiles, settings.profiles_max), limits.devices)
