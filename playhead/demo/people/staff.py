"""The staff of the installation: an editor, an operator and somebody at billing, with accounts like everybody's.

The first evening on an installation they register and are granted their roles; what they sign in with is kept beside
the keys of the installation, so that the next evening the same people come back, and publish nothing twice.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from events.envelope import UNKNOWN_ADDRESS
from events.identity import Role
from infra.access.permissions import Scope
from infra.settings import Settings
from playhead import staff_roles
from playhead.demo.api import Refused
from playhead.demo.people.register import AccountRow, StaffAction, action_key
from playhead.demo.people.signing import SignIn
from playhead.demo.people.ways_in import OK, Credentials, Door, by_mail, by_password, post
from playhead.demo.watching.sitting import Device

ROLES: Final = (Role.OPERATOR, Role.EDITOR, Role.BILLING)
DESK: Final = Device("desk", "web", "Desk")
OFFICE: Final = "192.0.2.10"
"""Where the staff asks from; in the range for examples (RFC 5737)."""
KEPT_IN: Final = "demo-staff.json"


class Member(msgspec.Struct, frozen=True):
    """What somebody signs in with, and on which device."""

    email: str
    password: str
    device_id: str


@dataclass(frozen=True)
class Staff:
    """Who works this evening, signed in."""

    editor: SignIn
    operator: SignIn
    billing: SignIn
    members: Mapping[str, Member]

    def owners(self) -> dict[str, SignIn]:
        """The sign-ins by account."""
        return {app.account_id: app for app in (self.editor, self.operator, self.billing)}


async def hire(door: Door, settings: Settings) -> Staff:
    """Everybody at their desk, and in their role: the operator by whoever runs the installation, since nobody may grant
    anything yet; the others by the operator. Raises Refused, NotTaken.
    """
    path = settings.state_dir.absolute() / KEPT_IN
    known = _read(path)
    operator, editor, billing = [await _at_desk(door, role, known) for role in ROLES]
    _write(path, known)
    await _grant_first(door, settings, operator, known[Role.OPERATOR].email)
    for role, app in ((Role.EDITOR, editor), (Role.BILLING, billing)):
        reply = await post(door.commands, f"/v1/accounts/{app.account_id}/roles", {"role": role}, operator)
        reply.taken(f"the role {role}", OK)
        door.register.done_by_staff(operator, reply)
        await _works_as(door, app, role)
    return Staff(editor, operator, billing, known)


async def _at_desk(door: Door, role: Role, known: dict[str, Member]) -> SignIn:
    if role in known and (app := await _back(door, known[role])):
        door.register.accounts[app.account_id] = AccountRow(known[role].email)
        return app
    who = Credentials(f"{role}@{door.run}.example", OFFICE)
    app = await by_mail(door, who, DESK)
    known[role] = Member(who.email, who.password, app.device_id)
    return app


async def _works_as(door: Door, app: SignIn, role: Role) -> None:
    """From its next token on."""
    door.register.granted(app.account_id, role)
    await app.renew(app.token)


async def _back(door: Door, member: Member) -> SignIn | None:
    """Signed in again; None when the installation does not know them any more."""
    try:
        return await by_password(door, Credentials(member.email, OFFICE, member.password), DESK, member.device_id)
    except Refused:
        return None


async def _grant_first(door: Door, settings: Settings, operator: SignIn, email: str) -> None:
    """As `playhead staff grant` does. Raises Refused."""
    if Scope.STAFF_WRITE not in operator.scope.split():
        granted = partial(staff_roles.run, settings, email, Role.OPERATOR, granted=True)
        if await asyncio.to_thread(granted) != 0:
            raise Refused(f"`playhead staff grant {email} operator` did not")
        event = action_key(operator.account_id, door.register.versions[operator.account_id] + 1, "RoleGranted")
        door.register.staff_actions[event] = StaffAction(staff_roles.PRINCIPAL, UNKNOWN_ADDRESS)
    await _works_as(door, operator, Role.OPERATOR)


def _read(path: Path) -> dict[str, Member]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Member])
    except (FileNotFoundError, msgspec.DecodeError):  # the first evening, or one that was ended while it wrote
        return {}


def _write(path: Path, members: Mapping[str, Member]) -> None:
    """Readable by its owner alone."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(members)))
