"""The private tables of the context, kept in step with its events in the same transaction: who may sign in, which
sign-ins last, which profiles there are. Tokens are made from them; nobody else reads them.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from events.envelope import Event
from events.identity import (
    AccountWithdrawn,
    ApiKeyRevoked,
    PersonErased,
    ProfileChanged,
    ProfileCreated,
    ProfileDeleted,
    ProfilePinRemoved,
    RoleGranted,
    RoleRevoked,
    SignedIn,
    SignedOut,
)
from infra.access.permissions import Principal
from infra.postgres import Connection, Pool

GRANT: Final = """
insert into identity_grants (sign_in_id, account_id, device_id, granted_at, rotated_at, expires_at, for_staff)
values ($1, $2, $3, $4, $4, $5, $6)
"""
END: Final = "delete from identity_grants where sign_in_id = $1"
GRANT_ROLE: Final = "update identity_credentials set roles = array_append(roles, $2) where account_id = $1"
REVOKE_ROLE: Final = "update identity_credentials set roles = array_remove(roles, $2) where account_id = $1"
KEEP_PROFILE: Final = """
insert into identity_profile_access values ($1, $2, $3)
on conflict (profile_id) do update set maturity_limit = excluded.maturity_limit
"""
DELETE_PROFILE: Final = "delete from identity_profile_access where profile_id = $1"
REMOVE_PIN: Final = "update identity_profile_access set pin_hash = null where profile_id = $1"
FORGET: Final = "delete from identity_credentials where account_id = $1"
DESTROY_KEY: Final = """
update person_key set wrapped = null, destroyed_at = coalesce(destroyed_at, $2) where person_id = $1
"""
REVOKE_KEY: Final = "update identity_api_key_secrets set revoked_at = $2 where api_key_id = $1"

PRINCIPAL: Final = """
select g.account_id, g.profile_id, g.sign_in_id, g.device_id, p.maturity_limit,
       case when g.for_staff then c.roles else '{}' end as roles
from identity_grants as g
join identity_credentials as c using (account_id)
left join identity_profile_access as p using (profile_id)
where g.sign_in_id = $1 and g.expires_at > $2
"""


async def keep_step(connection: Connection, events: list[Event], *, now: datetime, lasts: timedelta) -> None:
    """Have the tables say what the events say. `lasts`: how long a sign-in does that is not used."""
    for event in events:
        match event:
            case SignedIn():
                for_staff = event.method != "device_code"  # whoever is talked into approving a code gives no role away
                given = (event.sign_in_id, event.account_id, event.device_id, now, now + lasts, for_staff)
                await connection.execute(GRANT, *given)
            case SignedOut():
                await connection.execute(END, event.sign_in_id)
            case RoleGranted():
                await connection.execute(GRANT_ROLE, event.account_id, event.role.value)
            case RoleRevoked():
                await connection.execute(REVOKE_ROLE, event.account_id, event.role.value)
            case ProfileCreated(profile=profile) | ProfileChanged(profile=profile):
                await connection.execute(KEEP_PROFILE, profile.profile_id, event.account_id, profile.maturity_limit)
            case ProfileDeleted():
                await connection.execute(DELETE_PROFILE, event.profile_id)
            case ProfilePinRemoved():
                await connection.execute(REMOVE_PIN, event.profile_id)
            case AccountWithdrawn():
                await connection.execute(FORGET, event.account_id)
                await connection.execute(DESTROY_KEY, event.account_id, now)
            case PersonErased():
                await connection.execute(DESTROY_KEY, event.account_id, now)
            case ApiKeyRevoked():
                await connection.execute(REVOKE_KEY, event.api_key_id, now)


async def destroy_key(connection: Connection, account_id: str, now: datetime) -> None:
    """Destroy a person's key, also one that a restore brought back after the event that says that it is gone."""
    await connection.execute(DESTROY_KEY, account_id, now)


async def principal_of(pool: "Pool | Connection", sign_in_id: str, now: datetime) -> Principal | None:
    """Whom the tokens of a sign-in speak for; None for one that has ended."""
    row: Any = await pool.fetchrow(PRINCIPAL, sign_in_id, now)
    if row is None:
        return None
    return Principal(
        subject=row["account_id"],
        account_id=row["account_id"],
        profile_id=row["profile_id"],
        sign_in_id=row["sign_in_id"],
        device_id=row["device_id"],
        maturity_limit=row["maturity_limit"],
        roles=tuple(row["roles"]),
    )
