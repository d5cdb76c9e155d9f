"""How many profiles and devices an account may have: from the read model of its subscription, so a moment old at most.

Whoever leaves a plan keeps what is there, and can only add no more.
"""

from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from events.subscription import PlanTerms
from infra.postgres import Pool
from infra.settings import Settings

SUBSCRIPTION: Final = """
select terms from subscriptions
where account_id = $1 and status in ('trialing', 'active', 'grace', 'canceled')
  and coalesce(ends_at, grace_until, 'infinity') > $2
"""


class Allowances(NamedTuple):
    """How many of each."""

    profiles: int
    devices: int


async def allowances_of(pool: Pool, account_id: str, now: datetime, settings: Settings) -> Allowances:
    """What the account's plan allows, or what an account without a plan may have."""
    row: Any = await pool.fetchrow(SUBSCRIPTION, account_id, now)
    if row is None:
        return Allowances(settings.profiles_without_plan, settings.devices_without_plan)
    limits = msgspec.json.decode(row["terms"], type=PlanTerms).limits
    return Allowances(min(limits.profiles, settings.profiles_max), limits.devices)
