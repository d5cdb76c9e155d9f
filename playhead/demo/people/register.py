"""What the API acknowledged of who is who: accounts, their profiles, devices and sign-ins, and what staff did."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from playhead.demo.api import Reply
from playhead.demo.ledger import Ledger
from playhead.demo.people.signing import SignIn


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account, as far as it is compared. `roles`: in alphabetical order."""

    email: str
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """A profile, as far as it is compared."""

    account_id: str
    name: str
    kids: bool = False
    maturity_limit: int | None = None
    has_pin: bool = False


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device, as far as it is compared."""

    account_id: str
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class SignInRow:
    """A sign-in, as far as it is compared. `ended`: why, or None while it lasts."""

    account_id: str
    device_id: str
    method: str
    ended: str | None = None


@dataclass(frozen=True, slots=True)
class StaffAction:
    """What staff did, as far as it is compared: who did it, and from where."""

    principal: str
    address: str


@dataclass
class Register:
    """By id; what staff did by action_key(). `versions`: of accounts, as their last sign-in left them."""

    ledger: Ledger
    accounts: dict[str, AccountRow] = field(default_factory=dict)
    profiles: dict[str, ProfileRow] = field(default_factory=dict)
    devices: dict[str, DeviceRow] = field(default_factory=dict)
    sign_ins: dict[str, SignInRow] = field(default_factory=dict)
    staff_actions: dict[str, StaffAction] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    def registered(self, account_id: str, email: str) -> None:
        """An account began."""
        self.accounts[account_id] = AccountRow(email)

    def granted(self, account_id: str, role: str) -> None:
        """An account's owner works in a role."""
        known = self.accounts[account_id]
        self.accounts[account_id] = replace(known, roles=tuple(sorted({*known.roles, role})))

    def signed_in(self, reply: Reply, device: DeviceRow, method: str) -> None:
        """A sign-in began on a device, and ended the one that was there."""
        self.ledger.reach(reply.positions)
        tokens = reply.json()
        self.versions[device.account_id] = reply.version
        device_id = str(tokens["device_id"])
        self.ended(self._on(device_id), "replaced")
        self.devices[device_id] = device
        self.sign_ins[str(tokens["sign_in_id"])] = SignInRow(device.account_id, device_id, method)

    def ended(self, sign_in_ids: Iterable[str], reason: str) -> None:
        """Sign-ins ended; those that had before stay as they are."""
        for sign_in_id in list(sign_in_ids):
            if self.sign_ins[sign_in_id].ended is None:
                self.sign_ins[sign_in_id] = replace(self.sign_ins[sign_in_id], ended=reason)

    def removed(self, device_id: str) -> None:
        """A device is gone, and what was signed in on it."""
        del self.devices[device_id]
        self.ended(self._on(device_id), "device_removed")

    def done_by_staff(self, who: SignIn, reply: Reply, stream: str | None = None) -> None:
        """A member of staff did what a reply says: its events are the last of their stream, by default that of what it
        is about.
        """
        self.ledger.reach(reply.positions)
        body = reply.json()
        events, version = body["events"], body["version"]
        for number, event in enumerate(events, start=version - len(events) + 1):
            self.staff_actions[action_key(stream or body["id"], number, event)] = StaffAction(
                who.account_id, who.address
            )

    def _on(self, device_id: str) -> list[str]:
        return [sign_in_id for sign_in_id, row in self.sign_ins.items() if row.device_id == device_id]


def action_key(stream: str, version: int, event: str) -> str:
    """An event by the id of its stream, its number in it, and its name."""
    return f"{stream} #{version} {event}"
