"""Devices in Postgres: what an account is signed in on, or was and may be again."""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from events.envelope import Event, Recorded
from events.identity import (
    AccountEvent,
    AccountWithdrawn,
    Device,
    DeviceRegistered,
    DeviceRemoved,
    DeviceRenamed,
    SignedIn,
)
from events.topics import IDENTITY
from projections.views import ListView


class DeviceItem(msgspec.Struct, frozen=True, kw_only=True):
    """A device. `name`: sealed."""

    device_id: str
    name: str
    type: str
    platform: str | None
    model: str | None
    registered_at: datetime
    last_signed_in_at: datetime | None = None


class AccountDevices(msgspec.Struct, frozen=True):
    """The devices of an account, in the order in which they came."""

    account_id: str
    devices: tuple[DeviceItem, ...]


class Devices(ListView[AccountDevices]):
    """The devices that there are; all go with the account."""

    name = "identity_devices"
    row = AccountDevices
    item = DeviceItem
    topics = (IDENTITY,)
    events = (DeviceRegistered, DeviceRenamed, DeviceRemoved, SignedIn, AccountWithdrawn)

    def key(self, recorded: Recorded[Event]) -> str:
        """The account."""
        assert isinstance(recorded.data, AccountEvent)
        return recorded.data.account_id

    def project(self, row: AccountDevices | None, recorded: Recorded[Event]) -> AccountDevices | None:
        """The account's devices after an event."""
        event = recorded.data
        assert isinstance(event, AccountEvent)
        held = row.devices if row else ()
        devices = _after(held, event, recorded.envelope.time)
        return AccountDevices(event.account_id, devices) if devices else None


def _after(held: tuple[DeviceItem, ...], event: AccountEvent, at: datetime) -> tuple[DeviceItem, ...]:
    match event:
        case DeviceRegistered(device=device):
            return (*_without(held, device.device_id), _described(device, at))
        case DeviceRemoved(device_id=device_id):
            return _without(held, device_id)
        case DeviceRenamed(device_id=device_id, name=name):
            return tuple(replace(one, name=name) if one.device_id == device_id else one for one in held)
        case SignedIn(device_id=device_id):
            return tuple(replace(one, last_signed_in_at=at) if one.device_id == device_id else one for one in held)
        case _:  # AccountWithdrawn
            return ()


def _described(device: Device, registered_at: datetime) -> DeviceItem:
    return DeviceItem(
        device_id=device.device_id,
        name=device.name,
        type=device.type,
        platform=device.platform,
        model=device.model,
        registered_at=registered_at,
    )


def _without(held: tuple[DeviceItem, ...], device_id: str) -> tuple[DeviceItem, ...]:
    return tuple(one for one in held if one.device_id != device_id)
