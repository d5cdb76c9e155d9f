"""How many profiles and devices an account may have: from the read model of its subscription, so a moment old at most.

Whoever leaves a plan keeps what is there, and can only add no more.
"""

from datetime import datetime
from typing import Final, NamedTuple

from infra.entitlement import Moments, limits_of, standing_at
from infra.postgres import Pool
from infra.settings import Settings

SUBSCRIPTION: Final = "select * from subscriptions where account_id = $1"


class Allowances(NamedTuple):
    """How many of each."""

    profiles: int
    devices: int


async def allowances_of(pool: Pool, account_id: str, now: datetime, settings: Settings) -> Allowances:
    """What the account's plan allows, or what an account without a plan may have."""
    row = await pool.fetchrow(SUBSCRIPTION, account_id)
    if row is None or not standing_at(Moments.of(row), now).access:
        return Allowances(settings.profiles_without_plan, settings.devices_without_plan)
    limits = limits_of(row)
    return Allowances(min(limits.profiles, settings.profiles_max), limits.devices)
