"""How long the profiles of an account watch, by hour or day: the page on which parents see it. Postgres table
profile_screen_time_by_hour.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import asyncpg
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from infra.access.authentication import Needs
from infra.access.permissions import Principal, Scope
from infra.http.openapi import replies
from query_api.access import EVERY_ACCOUNT_VIEW, own_account
from query_api.audience.ranges import Buckets, Interval, asked_buckets
from query_api.authorization import NOT_YOUR_PROFILE, NotYourProfile
from query_api.dependencies import ID_MAX_CHARS, ID_PATTERN, From, Positions
from query_api.playback import TOPIC

BY_HOUR: Final = """
    select profile_id, hour, sessions, minutes from profile_screen_time_by_hour
    where account_id = $1 and hour >= $2 and hour < $3 and ($4::text is null or profile_id = $4)
    order by profile_id, hour
"""
NOBODY: Final = ""
"""The id of no profile."""

EXAMPLE: Final[dict[str, Any]] = {
    "account_id": "made-up-household",
    "from": "2026-01-01T00:00:00+09:00",
    "to": "2026-01-02T00:00:00+09:00",
    "interval": "day",
    "profiles": [
        {
            "profile_id": "anna",
            "sessions": 3,
            "minutes": 94,
            "buckets": [{"begin": "2026-01-01T00:00:00+09:00", "sessions": 3, "minutes": 94}],
        }
    ],
}

Holder = Annotated[Principal, Depends(Needs(Scope.ACCOUNT, Scope.PLAYBACK_READ))]
OwnAccount = Annotated[str, Depends(own_account(Scope.ACCOUNT, Scope.PLAYBACK_READ))]
OfProfile = Annotated[
    str | None,
    Query(
        min_length=1, max_length=ID_MAX_CHARS, pattern=ID_PATTERN, description="Only this profile", examples=["anna"]
    ),
]


class Spent(BaseModel):
    """`sessions`: those that showed a frame; `minutes`: in which something moved on the screen."""

    sessions: int
    minutes: int


class Bucket(Spent):
    """Of the sessions that started in an hour or a day, which begins at `begin`."""

    begin: datetime


class OfOneProfile(Spent):
    """What one profile watched in the range."""

    profile_id: str
    buckets: list[Bucket]


class ScreenTime(BaseModel):
    """The profiles that watched anything in the range. A session counts when it started, however long it lasts."""

    account_id: str
    begin: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to")
    interval: Interval
    profiles: list[OfOneProfile]


async def shown_profile(caller: Holder, profile_id: OfProfile = None) -> str | None:
    """Whose rows a request gets; None: everybody's of the account. A profile with a maturity limit, a child's, sees its
    own. Raises NotYourProfile.
    """
    if caller.maturity_limit is None:
        return profile_id
    if profile_id not in (None, caller.profile_id):
        raise NotYourProfile("A profile with a maturity limit sees its own screen time; choose one without.")
    return caller.profile_id or NOBODY


routes = APIRouter(tags=["playback"])


@routes.get("/v1/accounts/{account_id}/screen-time", responses=replies(EXAMPLE, *EVERY_ACCOUNT_VIEW, NOT_YOUR_PROFILE))
async def read_screen_time(
    account_id: OwnAccount,
    caller: Holder,
    profile: Annotated[str | None, Depends(shown_profile)],
    buckets: Annotated[Buckets, Depends(asked_buckets)],
    sources: From,
    positions: Positions,
) -> ScreenTime:
    """How long each profile of the account watched, in the hours or the days of a time zone."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres_as(caller) as connection:
        rows = await connection.fetch(BY_HOUR, account_id, *buckets.range, profile)
    of_profiles: defaultdict[str, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        of_profiles[row["profile_id"]].append(row)
    begin, end = (moment.astimezone(buckets.zone) for moment in buckets.range)
    profiles = [_of_profile(profile_id, found, buckets) for profile_id, found in of_profiles.items()]
    return ScreenTime(account_id=account_id, begin=begin, end=end, interval=buckets.interval, profiles=profiles)


def _of_profile(profile_id: str, rows: Sequence[asyncpg.Record], buckets: Buckets) -> OfOneProfile:
    in_bucket: defaultdict[datetime, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        in_bucket[buckets.of(row["hour"])].append(row)
    shown = [Bucket(begin=begin.astimezone(buckets.zone), **_spent(in_bucket[begin])) for begin in buckets]
    return OfOneProfile(profile_id=profile_id, buckets=shown, **_spent(rows))


def _spent(rows: Sequence[asyncpg.Record]) -> dict[str, int]:
    return {name: sum(row[name] for row in rows) for name in Spent.model_fields}
