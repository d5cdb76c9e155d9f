"""Who is who by the query API, held against the register. Each account is read by its own owner, what staff did by an
operator: a row that somebody may not see is a row that is missing here.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from infra.positions import Position
from playhead.demo.api import Api, NotTaken
from playhead.demo.comparison import Compared, compared
from playhead.demo.people.register import (
    AccountRow,
    DeviceRow,
    ProfileRow,
    Register,
    SignInRow,
    StaffAction,
    action_key,
)
from playhead.demo.people.signing import SignIn

TOGETHER: Final = 8
QUERY: Final = "query API"
STAFF_ACTIONS: Final = "/v1/audit/staff-actions"


class Identities:
    """The identity views at an evening's end. `owners`: a sign-in of each account that has one, by account."""

    def __init__(self, register: Register, query: Api, owners: Mapping[str, SignIn], operator: SignIn) -> None:
        self._register = register
        self._query = query
        self._owners = owners
        self._operator = operator

    async def late(self, patient: Api, positions: Iterable[Position]) -> str | None:
        """Wait until the views have applied these; why not, if they have not in time."""
        wanted = list(positions)
        account_id, owner = next(iter(self._owners.items()))
        try:
            await patient.reached(f"/v1/accounts/{account_id}", owner, wanted)
            await patient.reached(f"{STAFF_ACTIONS}?limit=1", self._operator, wanted)
        except NotTaken as late:
            return f"identity has not caught up: {late}"
        return None

    async def compare(self, began_at: datetime) -> list[Compared]:
        """Every view; of what began before `began_at`, only what is looked for."""
        held = Register(self._register.ledger)
        at_once = asyncio.Semaphore(TOGETHER)

        async def read(account_id: str, owner: SignIn) -> None:
            async with at_once:
                await self._read(account_id, owner, held, began_at)

        await asyncio.gather(*(read(*each) for each in self._owners.items()))
        await self._read_staff_actions(held, began_at)
        wanted = self._register
        unit = "sign-ins, lasting or ended, and why"
        return [
            compared("identity_accounts", wanted.accounts, held.accounts, unit="accounts and roles", read_from=QUERY),
            compared("identity_profiles", wanted.profiles, held.profiles, unit="profiles", read_from=QUERY),
            compared("identity_devices", wanted.devices, held.devices, unit="devices", read_from=QUERY),
            compared("identity_sign_ins", wanted.sign_ins, held.sign_ins, unit=unit, read_from=QUERY),
            compared(
                "staff_actions",
                wanted.staff_actions,
                held.staff_actions,
                unit="events, by whom, from where",
                read_from=QUERY,
            ),
        ]

    async def _read(self, account_id: str, owner: SignIn, held: Register, began_at: datetime) -> None:
        path, wanted = f"/v1/accounts/{account_id}", self._register
        account = await self._one(path, owner)
        held.accounts[account_id] = AccountRow(account["email"], tuple(account["roles"]))
        for item in (await self._one(f"{path}/profiles", owner))["items"]:
            if item["profile_id"] in wanted.profiles or _at(item["created_at"]) >= began_at:
                held.profiles[item["profile_id"]] = ProfileRow(
                    account_id, item["name"], item["kids"], item["maturity_limit"], item["has_pin"]
                )
        for item in (await self._one(f"{path}/devices", owner))["items"]:
            if item["device_id"] in wanted.devices or _at(item["registered_at"]) >= began_at:
                held.devices[item["device_id"]] = DeviceRow(account_id, item["name"], item["type"])
        async for item in self._query.items(f"{path}/sessions", owner):
            if item["sign_in_id"] in wanted.sign_ins or _at(item["signed_in_at"]) >= began_at:
                held.sign_ins[item["sign_in_id"]] = SignInRow(
                    account_id, item["device_id"], item["method"], item["end_reason"]
                )

    async def _read_staff_actions(self, held: Register, began_at: datetime) -> None:
        async for item in self._query.items(STAFF_ACTIONS, self._operator):
            name = item["type"].split(".")[1]
            key = action_key(item["stream_id"].partition("-")[2], item["version"], name)
            if key in self._register.staff_actions or _at(item["at"]) >= began_at:
                held.staff_actions[key] = StaffAction(item["principal"], item["client_address"])

    async def _one(self, path: str, owner: SignIn) -> Any:
        return (await self._query.get(path, owner)).taken(path, 200)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
