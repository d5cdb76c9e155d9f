"""The demo's people: each has an account of their own, and signs in on a device when they first use it."""

import asyncio
from dataclasses import replace
from typing import Any, Final

from playhead.demo.api import Reply, Ticket
from playhead.demo.people.register import ProfileRow
from playhead.demo.people.signing import SignIn
from playhead.demo.people.ways_in import CREATED, OK, Credentials, Door, by_code, by_mail, by_password, post
from playhead.demo.watching.sitting import Device

NAMES: Final = (
    *("Ada", "Bao", "Chloe", "Dilan", "Emeka", "Farah", "Goran", "Hana", "Iris", "Jun", "Kofi", "Lena", "Mina"),
    *("Noor", "Omar", "Priya", "Quinn", "Rosa", "Seo-yeon", "Tariq", "Uma", "Viktor", "Wen", "Ximena", "Yusuf", "Zoe"),
)


class Person:
    """Somebody with an account. `phone`: where they registered; what they do outside a script, they do there."""

    def __init__(self, number: int, door: Door) -> None:
        self.name = NAMES[number % len(NAMES)]
        self.who = Credentials(f"{self.name.lower()}.{number}@{door.run}.example", home_of(number))
        self.account_id = ""
        self.profile_id = ""
        self.apps: dict[str, SignIn] = {}
        self._door = door
        self._one_at_a_time = asyncio.Lock()

    @property
    def phone(self) -> SignIn:
        """The first sign-in that lasts."""
        return next(iter(self.apps.values()))

    async def register(self, device: Device) -> None:
        """Begin an account on a device, with a profile. Raises Refused, NotTaken."""
        app = self.apps[device.device_id] = await by_mail(self._door, self.who, device)
        self.account_id = app.account_id
        self.profile_id = await self.create_profile(app, self.name)
        await self.choose(app, self.profile_id)

    async def on(self, device: Device) -> SignIn:
        """The sign-in on a device; the first time, sign in there. Raises Refused, NotTaken."""
        async with self._one_at_a_time:
            if device.device_id not in self.apps:
                self.apps[device.device_id] = await self._sign_in(device)
            return self.apps[device.device_id]

    async def sign_in_again(self, device: Device) -> SignIn:
        """With the password, on a device whose sign-in was ended. Raises Refused, NotTaken."""
        before = self.apps.pop(device.device_id)
        app = self.apps[device.device_id] = await by_password(self._door, self.who, device, before.device_id)
        await self.choose(app, self.profile_id)
        return app

    async def create_profile(self, app: SignIn, name: str, **facts: Any) -> str:
        """One more profile; its id. `facts`: kids, maturity_limit. Raises Refused, NotTaken."""
        path = f"/v1/accounts/{self.account_id}/profiles"
        reply = await post(self._door.commands, path, {"name": name, **facts}, app)
        profile_id = str(reply.taken(f"a profile of {self.name}", OK, CREATED)["id"])
        self._noted(reply)
        self._door.register.profiles[profile_id] = ProfileRow(self.account_id, name, **facts)
        return profile_id

    async def protect(self, profile_id: str, pin: str) -> None:
        """Give a profile a PIN. Raises Refused, NotTaken."""
        path = f"/v1/accounts/{self.account_id}/profiles/{profile_id}/pin"
        reply = await post(self._door.commands, path, {"pin": pin, "password": self.who.password}, self.phone)
        reply.taken(f"a PIN of {self.name}", OK)
        self._noted(reply)
        profiles = self._door.register.profiles
        profiles[profile_id] = replace(profiles[profile_id], has_pin=True)

    async def unlock(self, app: SignIn, pin: str) -> Ticket:
        """A token for titles above the limit of the profile that an app has chosen. Raises Refused, NotTaken."""
        path = f"/v1/accounts/{self.account_id}/profiles/{app.profile_id}/unlock"
        reply = await post(self._door.commands, path, {"pin": pin}, app)
        return Ticket(reply.taken(f"the PIN of {self.name}", OK)["access_token"], app.address)

    async def choose(self, app: SignIn, profile_id: str, **proof: str) -> None:
        """Watch as a profile from now on. Raises Refused, NotTaken."""
        path = f"/v1/accounts/{self.account_id}/profiles/{profile_id}/choose"
        reply = await post(self._door.commands, path, proof, app)
        app.take(reply.taken(f"the profile of {self.name}", OK))

    async def remove(self, device: Device, *, by: SignIn) -> None:
        """Take a device from the account. Raises Refused, NotTaken."""
        gone = self.apps.pop(device.device_id)
        path = f"/v1/accounts/{self.account_id}/devices/{gone.device_id}/remove"
        reply = await post(self._door.commands, path, {}, by)
        reply.taken(f"the removal of {device.name}", OK)
        self._noted(reply)
        self._door.register.removed(gone.device_id)

    async def _sign_in(self, device: Device) -> SignIn:
        manners = self._door.register.ledger.manners
        if device.type == "tv":
            manners["televisions signed in by a code"] += 1
            return await by_code(self._door, self.who, device, self.phone)
        manners["sign-ins by password"] += 1
        app = await by_password(self._door, self.who, device)
        await self.choose(app, self.profile_id)
        return app

    def _noted(self, reply: Reply) -> None:
        self._door.register.ledger.reach(reply.positions)


def home_of(number: int) -> str:
    """The address of a household, all different, in the range for examples (RFC 3849)."""
    return f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::1"
