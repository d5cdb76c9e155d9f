"""Accounts on the whole stack of tests/integration/subscription_stack.py, as the identity context's routes make them,
and what its views should hold of them: a replay of the log.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import msgspec

from commands.handling import Handling, Terms
from commands.identity import commands as c
from commands.identity.access_tables import keep_step
from commands.identity.decider import ACCOUNT
from commands.identity.streams import of_account
from events.envelope import Context, Event
from events.identity import Device, Profile
from events.registry import REGISTRY
from events.types import AccountId, DeviceId, ProfileId, SignInId
from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.event_log import EventLog
from infra.ids import new_id, new_secret
from infra.personal_data import MasterKey, PersonKey
from infra.postgres import Connection, Pool
from infra.redis import Redis
from infra.settings import Settings
from projections.app import identity_views, redis_views
from projections.stores.tables import Table

LASTS: Final = timedelta(days=60)
REVOKED: Final = "identity_revoked"


@dataclass
class Household:
    """An account, its person's key, and its commands. `position`: of the last that it recorded."""

    account_id: AccountId
    key: PersonKey
    handling: Handling
    position: str = ""

    async def has(self, *commands: c.AccountCommand, by: Context | None = None) -> None:
        """Handle commands as the routes do, with what they change in the private tables."""
        context = by or Context(correlation_id=new_id(), principal=self.account_id)
        for command in commands:
            outcome = await self.handling.handle(
                command, decider=ACCOUNT, target=of_account(self.account_id), terms=Terms(context), alongside=_keep
            )
            self.position = outcome.position

    def signs_in(self, device_id: str, *, known: bool = False) -> c.SignIn:
        """On a device of a name of its own."""
        device = Device(device_id=DeviceId(device_id), name=self.key.seal(f"The {device_id}"), type="tv")
        known_as = DeviceId(device_id) if known else None
        return c.SignIn(
            sign_in_id=SignInId(new_id()), device=device, known_as=known_as, method="password", devices_allowed=9
        )

    def adds(self, name: str) -> c.CreateProfile:
        """A profile."""
        profile = Profile(profile_id=ProfileId(new_id()), name=self.key.seal(name), avatar="fox")
        return c.CreateProfile(profile=profile, profiles_allowed=9, proved=True)

    def owner(self, sign_in: c.SignIn | None = None) -> Principal:
        """As an access token of the account says it."""
        return Principal(
            subject=self.account_id,
            account_id=self.account_id,
            sign_in_id=sign_in.sign_in_id if sign_in else None,
            device_id=sign_in.device.device_id if sign_in else None,
        )


async def _keep(connection: Connection, events: list[Event]) -> None:
    await keep_step(connection, events, now=utc_now(), lasts=LASTS)


async def register(pool: Pool, settings: Settings, email: str) -> Household:
    """A new account, whose address was proved."""
    account_id = AccountId(new_id())
    key, wrapped = MasterKey.load(settings).new_person(account_id)
    await pool.execute("insert into person_key values ($1, $2, now())", account_id, wrapped)
    await pool.execute(
        "insert into identity_credentials values ($1, $2, 'hash', '{}', now())", account_id, new_secret(32)
    )
    household = Household(account_id, key, Handling(EventLog(pool, settings), utc_now))
    await household.has(c.RegisterAccount(account_id=account_id, email=key.seal(email)))
    return household


async def live_a_life(household: Household, rounds: int) -> None:
    """Sign in and out, remove devices, add and delete profiles."""
    for number in range(rounds):
        tv, phone = household.signs_in(f"tv-{new_id()}"), household.signs_in(f"phone-{new_id()}")
        profile = household.adds(f"Person {number}")
        await household.has(tv, phone, profile)
        await household.has(c.SetPin(profile_id=profile.profile.profile_id, proved=True))
        await household.has(c.SignOut(sign_in_id=phone.sign_in_id), c.RemoveDevice(device_id=tv.device.device_id))
        await household.has(household.signs_in(phone.device.device_id, known=True))
        await household.has(c.RemoveDevice(device_id=phone.device.device_id))
        if number % 2:
            await household.has(c.DeleteProfile(profile_id=profile.profile.profile_id, proved=True))
        await asyncio.sleep(0)


async def replayed(pool: Pool, settings: Settings, households: Sequence[Household]) -> dict[str, dict[str, Any]]:
    """What the views should hold of accounts, by view and key: the log, folded from its beginning."""
    bodies = await pool.fetch(
        "select body from event_log where stream_id = any($1) order by partition, position",
        [of_account(household.account_id).stream_id for household in households],
    )
    [revoked] = [view for view in redis_views(settings) if view.name == REVOKED]
    views: list[Any] = [*identity_views(), revoked]
    rows: dict[str, dict[str, Any]] = {view.name: {} for view in views}
    for recorded in (REGISTRY.decode(row["body"]) for row in bodies):
        for view in views:
            if type(recorded.data) in view.events:
                key, table = view.key(recorded), rows[view.name]
                table[key] = view.project(table.get(key), recorded)
    return {name: {key: row for key, row in table.items() if row is not None} for name, table in rows.items()}


async def in_postgres(pool: Pool, expected: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What Postgres holds under the keys that are expected, and of accounts that should have nothing."""
    found = {}
    accounts = list(expected["identity_accounts"])
    for view in identity_views():
        table = Table(view)
        keys = [*expected[view.name], *accounts]
        found[view.name] = {record[0]: table.row_of(record) for record in await pool.fetch(table.select, keys)}
    return found


async def in_redis(redis: Redis, settings: Settings, expected: dict[Any, Any]) -> dict[Any, Any]:
    """What Redis holds of ended sign-ins and removed devices that are expected."""
    [view] = [view for view in redis_views(settings) if view.name == REVOKED]
    held = await redis.hgetall(f"{REVOKED}:{{all}}")
    values = {
        _text(field): msgspec.json.decode(_text(value).split(":", 2)[2], type=view.row) for field, value in held.items()
    }
    return {shelf: values[shelf.field] for shelf in expected if shelf.field in values}


def _text(given: bytes | str) -> str:
    return given if isinstance(given, str) else given.decode()
