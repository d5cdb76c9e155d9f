"""An account. Postgres table identity_accounts; its address is opened with the key of its person."""

from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, Field

from infra.http.openapi import replies
from infra.http.problems import ProblemKind, Refusal
from query_api.access import EVERY_ACCOUNT_VIEW
from query_api.dependencies import From, Positions
from query_api.identity import TOPIC
from query_api.identity.access import Of


class AccountUnknown(Refusal):
    """No such account was registered, as far as the view knows."""


ACCOUNT_UNKNOWN = ProblemKind(404, "account-unknown", "There is no such account")

ACCOUNT: Final = """
    select a.*, k.wrapped from identity_accounts as a left join person_key as k on k.person_id = a.account_id
    where a.account_id = $1
"""

EXAMPLE: Final = {
    "account_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d",
    "email": "anna@example.com",
    "erased": False,
    "status": "active",
    "roles": [],
    "registered_at": "2026-01-31T09:30:00Z",
    "updated_at": "2026-01-31T09:30:00Z",
}


class Account(BaseModel):
    """An account. `roles`: what its owner works as, of staff."""

    account_id: str
    email: str | None = Field(description="null when it was erased")
    erased: bool = Field(description="whether everything personal was erased for good, as when it is withdrawn")
    status: Literal["active", "withdrawn"]
    roles: list[str]
    registered_at: datetime
    updated_at: datetime


routes = APIRouter(prefix="/v1/accounts/{account_id}", tags=["accounts"])


@routes.get("", responses=replies(EXAMPLE, *EVERY_ACCOUNT_VIEW, ACCOUNT_UNKNOWN))
async def read_account(of: Of, sources: From, positions: Positions) -> Account:
    """The account: its address, and how it stands."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres_as(of.caller) as connection:
        row: Any = await connection.fetchrow(ACCOUNT, of.account_id)
    if row is None:
        raise AccountUnknown(f"No account {of.account_id!r} was registered.")
    opener = of.opener([row])
    told = {"email": opener.open(row["email"]), "erased": opener.erased, "roles": msgspec.json.decode(row["roles"])}
    return Account.model_validate({**row, **told})
