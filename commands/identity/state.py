"""What an account's stream adds up to. Pure."""

from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from events.envelope import Event
from events.identity import (
    AccountRegistered,
    AccountWithdrawn,
    Device,
    DeviceRegistered,
    DeviceRemoved,
    DeviceRenamed,
    EmailChanged,
    PersonErased,
    Preferences,
    PreferencesChanged,
    Profile,
    ProfileChanged,
    ProfileCreated,
    ProfileDeleted,
    ProfilePinRemoved,
    ProfilePinSet,
    Role,
    RoleGranted,
    RoleRevoked,
    SignedIn,
    SignedOut,
)
from events.types import AccountId, DeviceId, ProfileId, Sealed, SignInId

K = TypeVar("K")
V = TypeVar("V")


class ProfileState(Struct, frozen=True, kw_only=True):
    """A profile, whether it has a PIN, and how it likes to watch."""

    profile: Profile
    has_pin: bool = False
    preferences: Preferences = Preferences()


class AccountState(Struct, frozen=True, kw_only=True):
    """An account. `account_id`: None before it is registered. `sign_ins`: those that last, and on which device.
    `sealed_events`: how many of its events hold Sealed values, which stay in them when all else is gone."""

    account_id: AccountId | None = None
    email: Sealed | None = None
    withdrawn: bool = False
    erased: bool = False
    sealed_events: int = 0
    roles: frozenset[Role] = frozenset()
    devices: dict[DeviceId, Device] = {}
    sign_ins: dict[SignInId, DeviceId] = {}
    profiles: dict[ProfileId, ProfileState] = {}

    @property
    def registered_id(self) -> AccountId:
        """The id of an account that is known to be registered."""
        assert self.account_id is not None
        return self.account_id


NOBODY: Final = AccountState()
HOLD_SEALED: Final = (
    AccountRegistered,
    EmailChanged,
    DeviceRegistered,
    DeviceRenamed,
    ProfileCreated,
    ProfileChanged,
)
"""The events of an account that hold Sealed values; tests/events/test_personal.py finds them by their fields."""


def evolve(state: AccountState, event: Event) -> AccountState:
    """The state after an event."""
    evolved = _after(state, event)
    return replace(evolved, sealed_events=evolved.sealed_events + 1) if isinstance(event, HOLD_SEALED) else evolved


def _after(state: AccountState, event: Event) -> AccountState:  # noqa: PLR0911 - a routing table
    match event:
        case AccountRegistered(account_id=account_id, email=email):
            return replace(state, account_id=account_id, email=email)
        case EmailChanged(email=email):
            return replace(state, email=email)
        case AccountWithdrawn():
            return AccountState(account_id=state.account_id, withdrawn=True, sealed_events=state.sealed_events)
        case PersonErased():
            return replace(state, erased=True)
        case RoleGranted(role=role):
            return replace(state, roles=state.roles | {role})
        case RoleRevoked(role=role):
            return replace(state, roles=state.roles - {role})
        case DeviceRegistered() | DeviceRenamed() | DeviceRemoved() | SignedIn() | SignedOut():
            return _after_sign_in(state, event)
        case _:
            return replace(state, profiles=_after_profile(state.profiles, event))


def _after_sign_in(
    state: AccountState, event: DeviceRegistered | DeviceRenamed | DeviceRemoved | SignedIn | SignedOut
) -> AccountState:
    match event:
        case DeviceRegistered(device=device):
            return replace(state, devices={**state.devices, device.device_id: device})
        case DeviceRenamed(device_id=device_id, name=name):
            renamed = replace(state.devices[device_id], name=name)
            return replace(state, devices={**state.devices, device_id: renamed})
        case DeviceRemoved(device_id=device_id):
            return replace(state, devices=_without(state.devices, device_id))
        case SignedIn(sign_in_id=sign_in_id, device_id=device_id):
            return replace(state, sign_ins={**state.sign_ins, sign_in_id: device_id})
        case SignedOut(sign_in_id=sign_in_id):
            return replace(state, sign_ins=_without(state.sign_ins, sign_in_id))


def _after_profile(  # noqa: PLR0911 - a routing table
    profiles: dict[ProfileId, ProfileState], event: Event
) -> dict[ProfileId, ProfileState]:
    match event:
        case ProfileCreated(profile=profile):
            return {**profiles, profile.profile_id: ProfileState(profile=profile)}
        case ProfileChanged(profile=profile):
            return {**profiles, profile.profile_id: replace(profiles[profile.profile_id], profile=profile)}
        case PreferencesChanged(profile_id=profile_id, preferences=preferences):
            return {**profiles, profile_id: replace(profiles[profile_id], preferences=preferences)}
        case ProfilePinSet(profile_id=profile_id):
            return {**profiles, profile_id: replace(profiles[profile_id], has_pin=True)}
        case ProfilePinRemoved(profile_id=profile_id):
            return {**profiles, profile_id: replace(profiles[profile_id], has_pin=False)}
        case ProfileDeleted(profile_id=profile_id):
            return _without(profiles, profile_id)
        case _:
            return profiles


def _without(entries: dict[K, V], gone: K) -> dict[K, V]:
    return {key: value for key, value in entries.items() if key != gone}
