"""The profiles of an account. Postgres table identity_profiles; names are opened with the key of its person."""

from datetime import datetime
from typing import Annotated, Final

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from query_api.access import EVERY_ACCOUNT_VIEW
from query_api.dependencies import From, Positions
from query_api.identity import TOPIC
from query_api.identity.access import Of, Opener
from query_api.tables.asking import Asked, asked
from query_api.tables.table import Projected, Table

PROFILES: Final = """
    select p.*, k.wrapped from identity_profiles as p left join person_key as k on k.person_id = p.account_id
    where p.account_id = $1 order by p.created_at, p.profile_id
"""

EXAMPLE: Final = {
    "profile_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3e",
    "name": "Anna",
    "erased": False,
    "avatar": "fox",
    "language": "nl",
    "kids": False,
    "maturity_limit": None,
    "has_pin": True,
    "preferences": {
        "audio_language": "en",
        "subtitles_language": None,
        "autoplay_next": True,
        "autoplay_previews": True,
        "quality": "auto",
    },
    "created_at": "2026-01-31T09:31:00Z",
}


class Preferences(BaseModel):
    """How a profile likes to watch. Languages: BCP 47; null is the title's own audio, and no subtitles."""

    audio_language: str | None
    subtitles_language: str | None
    autoplay_next: bool
    autoplay_previews: bool
    quality: str


class Profile(BaseModel):
    """One of the people of an account. `maturity_limit`: titles for a higher minimum age need the PIN."""

    profile_id: str
    name: str | None = Field(description="null when it was erased")
    erased: bool
    avatar: str | None
    language: str
    kids: bool
    maturity_limit: int | None
    has_pin: bool
    preferences: Preferences
    created_at: datetime


class Profiles(BaseModel):
    """The profiles, in the order in which they came; a plan limits how many there are."""

    items: list[Profile]


TABLE: Final = Table(Profile, name="profiles")

routes = APIRouter(prefix="/v1/accounts/{account_id}/profiles", tags=["accounts"])


@routes.get("", response_model=Profiles | Projected, responses=TABLE.replies({"items": [EXAMPLE]}, *EVERY_ACCOUNT_VIEW))
async def read_profiles(
    of: Of, sources: From, shown: Annotated[Asked, Depends(asked(TABLE))], positions: Positions
) -> Response:
    """The people who watch by this account."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres_as(of.caller) as connection:
        rows = await connection.fetch(PROFILES, of.account_id)
    opener = of.opener(rows)
    return shown.reply(Profiles(items=[_profile(row, opener) for row in rows]))


def _profile(row: asyncpg.Record, opener: Opener) -> Profile:
    preferences = msgspec.convert(msgspec.json.decode(row["preferences"]), dict[str, object])
    told = {"name": opener.open(row["name"]), "erased": opener.erased, "preferences": preferences}
    return Profile.model_validate({**row, **told})
