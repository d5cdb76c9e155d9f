"""The devices of an account. Postgres table identity_devices; names are opened with the key of its person."""

from datetime import datetime
from typing import Annotated, Final

import asyncpg
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from query_api.access import EVERY_ACCOUNT_VIEW
from query_api.dependencies import From, Positions
from query_api.identity import TOPIC
from query_api.identity.access import Of, Opener
from query_api.tables.asking import Asked, asked
from query_api.tables.table import Projected, Table

DEVICES: Final = """
    select d.*, k.wrapped from identity_devices as d left join person_key as k on k.person_id = d.account_id
    where d.account_id = $1 order by d.registered_at, d.device_id
"""

EXAMPLE: Final = {
    "device_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3f",
    "name": "Living room",
    "erased": False,
    "type": "tv",
    "platform": "webos",
    "model": "C3",
    "registered_at": "2026-01-31T09:30:00Z",
    "last_signed_in_at": "2026-02-03T19:00:00Z",
    "current": True,
}


class Device(BaseModel):
    """A device that somebody signed in on. `current`: whether the request comes from it."""

    device_id: str
    name: str | None = Field(description="as its owner calls it; null when it was erased")
    erased: bool
    type: str
    platform: str | None
    model: str | None
    registered_at: datetime
    last_signed_in_at: datetime | None
    current: bool


class Devices(BaseModel):
    """The devices, in the order in which they came; a plan limits how many there are."""

    items: list[Device]


TABLE: Final = Table(Device, name="devices")

routes = APIRouter(prefix="/v1/accounts/{account_id}/devices", tags=["accounts"])


@routes.get("", response_model=Devices | Projected, responses=TABLE.replies({"items": [EXAMPLE]}, *EVERY_ACCOUNT_VIEW))
async def read_devices(
    of: Of, sources: From, shown: Annotated[Asked, Depends(asked(TABLE))], positions: Positions
) -> Response:
    """What the account is watched on. A removed device is not there any more."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres_as(of.caller) as connection:
        rows = await connection.fetch(DEVICES, of.account_id)
    opener = of.opener(rows)
    return shown.reply(Devices(items=[_device(row, opener, of.caller.device_id) for row in rows]))


def _device(row: asyncpg.Record, opener: Opener, current: str | None) -> Device:
    told = {"name": opener.open(row["name"]), "erased": opener.erased, "current": row["device_id"] == current}
    return Device.model_validate({**row, **told})
