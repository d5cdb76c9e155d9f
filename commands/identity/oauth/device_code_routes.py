"""Codes that devices show, entered by somebody who is signed in elsewhere."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from commands.access import NotYourAccount
from commands.fields import Body, Id
from commands.identity import refusals as r
from commands.identity.oauth.device_codes import approve, deny
from commands.identity.oauth.refusals import DeviceCodeUnknown
from commands.identity.problems import refused_by
from commands.identity.requests import At
from events.types import DeviceId
from infra.access.authentication import Needs
from infra.access.permissions import Principal, Scope

router = APIRouter(prefix="/v1/device-codes", tags=["oauth"])

UserCode = Annotated[
    str, Field(min_length=8, max_length=32, description="as the device shows it; dashes and case do not matter")
]


async def viewer(caller: Annotated[Principal, Depends(Needs(Scope.ACCOUNT))]) -> Principal:
    """A caller with an account of their own. Raises NotYourAccount."""
    if caller.account_id is None:
        raise NotYourAccount("this needs the access token of a viewer, who has an account")
    return caller


Viewer = Annotated[Principal, Depends(viewer)]


class ApproveBody(Body):
    """What the viewer entered. `profile_id`: the profile that the device begins with. `remove_device_id`: a device to
    remove, where the plan allows no more of them."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_code": "WDJB-MJHT"}]})

    user_code: UserCode
    profile_id: Id | None = None
    remove_device_id: Id | None = None


class DenyBody(Body):
    """What the viewer entered."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_code": "WDJB-MJHT"}]})

    user_code: UserCode


class ApprovedDevice(BaseModel):
    """The device that is signed in now, as it called itself."""

    name: str
    type: str


@router.post(
    "/approve",
    responses=refused_by(
        NotYourAccount,
        DeviceCodeUnknown,
        r.TooManyAttempts,
        r.ProfileUnknown,
        r.PinMissing,
        r.DeviceLimitReached,
        r.DeviceUnknown,
        r.AccountUnknown,
        r.AccountIsWithdrawn,
    ),
)
async def approve_device(body: ApproveBody, caller: Viewer, at: At) -> ApprovedDevice:
    """Sign in on the device that shows the code. Wrong codes are counted, and refused when there are too many."""
    instead_of = DeviceId(body.remove_device_id) if body.remove_device_id else None
    waiting = await approve(at, caller, body.user_code, profile_id=body.profile_id, instead_of=instead_of)
    return ApprovedDevice(name=waiting.name, type=waiting.type)


@router.post("/deny", status_code=204, responses=refused_by(NotYourAccount, DeviceCodeUnknown, r.TooManyAttempts))
async def deny_device(body: DenyBody, caller: Viewer, at: At) -> Response:
    """Turn away the device that shows the code."""
    await deny(at, caller, body.user_code)
    return Response(status_code=204)
