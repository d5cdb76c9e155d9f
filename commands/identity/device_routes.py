"""The devices of an account over HTTP: renamed and removed. They are registered by signing in."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import ConfigDict

from commands.access import NotYourAccount, OwnAccount
from commands.fields import Body, PlainName
from commands.identity.commands import RemoveDevice, RenameDevice
from commands.identity.problems import refused_by
from commands.identity.refusals import AccountIsWithdrawn, AccountUnknown, DeviceUnknown
from commands.identity.requests import At
from commands.replies import Recorded
from events.types import DeviceId

REFUSED = refused_by(NotYourAccount, AccountUnknown, AccountIsWithdrawn, DeviceUnknown)

DeviceIdPath = Annotated[DeviceId, Path(min_length=1, max_length=64, pattern="^[0-9a-zA-Z_-]+$")]

router = APIRouter(prefix="/v1/accounts/{account_id}/devices/{device_id}", tags=["devices"])


class DeviceNameBody(Body):
    """What a device is called."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Grandmother's tablet"}]})

    name: PlainName


@router.post("/rename", responses=REFUSED)
async def rename_device(account_id: OwnAccount, device_id: DeviceIdPath, body: DeviceNameBody, at: At) -> Recorded:
    """Call a device something else."""
    person = await at.person(account_id)
    return await at.reply(RenameDevice(device_id=device_id, name=person.seal(body.name)), account_id)


@router.post("/remove", responses=REFUSED)
async def remove_device(account_id: OwnAccount, device_id: DeviceIdPath, at: At) -> Recorded:
    """Take a device from the account: its sign-in ends, and so do its running streams, with their next report."""
    return await at.reply(RemoveDevice(device_id=device_id), account_id)
