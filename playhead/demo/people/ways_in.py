"""The three ways to sign in, one for each kind of device: the phone by the mail that proves an address, the browser by
email and password, the television by a code that is entered on another device (RFC 8628).
"""

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from infra.ids import new_secret
from playhead.demo.api import Api, Bearer, Refused, Reply, Ticket
from playhead.demo.people.mailbox import Mailbox
from playhead.demo.people.register import DeviceRow, Register
from playhead.demo.people.signing import TOKEN_PATH, SignIn, post_form
from playhead.demo.watching.sitting import Device

OK: Final = 200
CREATED: Final = 201
ACCEPTED: Final = 202
PASSWORD_BYTES: Final = 15
CLIENT: Final = "playhead-tv"
DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
MOST_POLLS: Final = 6


@dataclass(frozen=True)
class Door:
    """Where people come in. `run`: what sets this evening's addresses apart from another's."""

    commands: Api
    mailbox: Mailbox
    register: Register
    run: str


@dataclass(frozen=True)
class Credentials:
    """What somebody signs in with: an address of nobody else's, and a password that nobody can guess. `home`: the
    network address that they ask from.
    """

    email: str
    home: str
    password: str = field(default_factory=lambda: urlsafe_b64encode(new_secret(PASSWORD_BYTES)).decode(), repr=False)

    def body(self) -> dict[str, str]:
        """As requests say it."""
        return {"email": self.email, "password": self.password}


async def by_mail(door: Door, who: Credentials, device: Device) -> SignIn:
    """Register: say who one is, read the mail, follow it. Raises Refused, NotTaken."""
    stranger = Ticket("", who.home)
    asked = await post(door.commands, "/v1/registrations", who.body(), stranger)
    asked.taken(f"the registration of {who.email}", ACCEPTED)
    proof = {"token": await door.mailbox.token(who.email), "password": who.password, "device": described(device)}
    reply = await post(door.commands, "/v1/registrations/confirm", proof, stranger)
    tokens = reply.taken(f"the confirmation of {who.email}", CREATED)
    door.register.registered(tokens["account_id"], who.email)
    return signed_in(door, who, reply, device, "registration")


async def by_password(door: Door, who: Credentials, device: Device, known_as: str | None = None) -> SignIn:
    """`known_as`: the device's id, if the account was signed in on it before. Raises Refused, NotTaken."""
    told = described(device) | ({"device_id": known_as} if known_as else {})
    reply = await post(door.commands, "/v1/sign-in", {**who.body(), "device": told}, Ticket("", who.home))
    return signed_in(door, who, reply, device, "password")


async def by_code(door: Door, who: Credentials, device: Device, other: SignIn) -> SignIn:
    """The television shows a code, it is entered where somebody is signed in already, the television asks for its
    tokens. Raises Refused, NotTaken.
    """
    asks = {"client_id": CLIENT, "device_name": device.name, "device_type": device.type}
    asked = await post_form(door.commands, "/oauth/device_authorization", asks, who.home)
    shown = asked.taken(f"a code for {device.name}", OK)
    entered = {"user_code": shown["user_code"], "profile_id": other.profile_id}
    approved = await post(door.commands, "/v1/device-codes/approve", entered, other)
    approved.taken("the approval of a television", OK)
    door.register.ledger.reach(approved.positions)
    return signed_in(door, who, await _asked_until_approved(door, shown, who.home), device, "device_code")


async def _asked_until_approved(door: Door, shown: Mapping[str, Any], address: str) -> Reply:
    """The tokens, or a refusal that is not "not yet"."""
    for _ in range(MOST_POLLS):
        asks = {"grant_type": DEVICE_CODE, "device_code": str(shown["device_code"]), "client_id": CLIENT}
        reply = await post_form(door.commands, TOKEN_PATH, asks, address)
        if reply.status == OK or reply.json().get("error") not in ("authorization_pending", "slow_down"):
            return reply
        await asyncio.sleep(shown["interval"])
    raise Refused(f"a television was not told of its approval: {reply}")


def signed_in(door: Door, who: Credentials, reply: Reply, device: Device, method: str) -> SignIn:
    """The sign-in of a reply, which is in the register now. Raises Refused."""
    tokens = reply.taken(f"the sign-in of {who.email} on {device.name}", OK, CREATED)
    door.register.signed_in(reply, DeviceRow(tokens["account_id"], device.name, device.type), method)
    return SignIn(door.commands, tokens, who.home)


def described(device: Device) -> dict[str, str]:
    """A device as it introduces itself."""
    return {"name": device.name, "type": device.type}


async def post(commands: Api, path: str, body: Mapping[str, Any], bearer: Bearer) -> Reply:
    """POST a body. Raises NotTaken."""
    return await commands.post(path, bearer, lambda: msgspec.json.encode(body))
