"""Sign-ins and the devices that they are on: pure. A device has one sign-in at a time, the last."""

from commands.identity.commands import RemoveDevice, RenameDevice, SignIn, SignOut
from commands.identity.refusals import DeviceLimitReached, DeviceUnknown
from commands.identity.state import AccountState, evolve
from events.envelope import Event
from events.identity import (
    DeviceRegistered,
    DeviceRemoved,
    DeviceRenamed,
    SignedIn,
    SignedOut,
    SignOutReason,
)
from events.types import DeviceId, SignInId


def sign_in(command: SignIn, state: AccountState) -> list[Event]:
    """Raises DeviceLimitReached, and DeviceUnknown for `instead_of`. The sign-in that was on the device is replaced.
    Ignored for a sign-in that lasts already."""
    if command.sign_in_id in state.sign_ins:
        return []
    events: list[Event] = []
    if command.instead_of is not None:
        events += remove_device(RemoveDevice(device_id=command.instead_of), state)
        for event in events:
            state = evolve(state, event)
    device_id = command.known_as if command.known_as in state.devices else None
    if device_id is None:
        _check_room(state, command.devices_allowed)
        device_id = command.device.device_id
        events.append(DeviceRegistered(account_id=state.registered_id, device=command.device))
    events += signed_out(state, "replaced", on=device_id)
    signed_in = SignedIn(
        account_id=state.registered_id, sign_in_id=command.sign_in_id, device_id=device_id, method=command.method
    )
    return [*events, signed_in]


def sign_out(command: SignOut, state: AccountState) -> list[Event]:
    """Ignored for a sign-in that has ended."""
    device_id = state.sign_ins.get(command.sign_in_id)
    return [] if device_id is None else [_ended(state, command.sign_in_id, device_id, command.reason)]


def signed_out(
    state: AccountState, reason: SignOutReason, *, on: DeviceId | None = None, kept: SignInId | None = None
) -> list[Event]:
    """The ends of all sign-ins, or of those on one device; but not of one that is kept."""
    return [
        _ended(state, sign_in_id, device_id, reason)
        for sign_in_id, device_id in state.sign_ins.items()
        if sign_in_id != kept and on in (None, device_id)
    ]


def rename_device(command: RenameDevice, state: AccountState) -> list[Event]:
    """Raises DeviceUnknown."""
    device = state.devices.get(command.device_id)
    if device is None:
        raise _unknown(command.device_id)
    if device.name == command.name:
        return []
    return [DeviceRenamed(account_id=state.registered_id, device_id=command.device_id, name=command.name)]


def remove_device(command: RemoveDevice, state: AccountState) -> list[Event]:
    """Raises DeviceUnknown."""
    if command.device_id not in state.devices:
        raise _unknown(command.device_id)
    ended = signed_out(state, "device_removed", on=command.device_id)
    return [*ended, DeviceRemoved(account_id=state.registered_id, device_id=command.device_id)]


def _ended(state: AccountState, sign_in_id: SignInId, device_id: DeviceId, reason: SignOutReason) -> SignedOut:
    return SignedOut(account_id=state.registered_id, sign_in_id=sign_in_id, device_id=device_id, reason=reason)


def _check_room(state: AccountState, allowed: int) -> None:
    if len(state.devices) >= allowed:
        raise DeviceLimitReached(
            f"the plan allows {allowed} devices; remove one of them (remove_device_id), or take a larger plan",
            members={"devices_allowed": allowed, "device_ids": sorted(state.devices)},
        )


def _unknown(device_id: DeviceId) -> DeviceUnknown:
    return DeviceUnknown(f"the account has no device {device_id!r}; it may have been removed")
