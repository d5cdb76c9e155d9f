"""A role for each process with what it needs and no more, and rows that the query API's role sees only of its caller
(ADR 11). Processes take their roles in infra/postgres.py; docs/security.md has what an operator does.
"""

from infra.migrations.privileges import READER, create_roles, grant, protect
from infra.migrations.sql import run_script

revision = "0010"
down_revision = "0009"

COMMANDS = "playhead_commands"
RELAY = "playhead_relay"
PROJECTIONS = "playhead_projections"
BILLING = "playhead_billing"

READ = "select"
WRITE = "select, insert, update, delete"

# Events are appended, never changed: nobody may update or delete them.
HANDLING = {
    "event_log": "select, insert",
    "partition_head": "select, update",
    "idempotency": "select, insert, update (place)",
    "stream_snapshot": "select, insert, update",
}
OF_COMMANDS = {
    **HANDLING,
    "person_key": "select, insert, update (wrapped, destroyed_at)",
    "identity_credentials": WRITE,
    "identity_profile_access": WRITE,
    "identity_grants": WRITE,
    "identity_one_time_tokens": WRITE,
    "identity_mail": WRITE,
    "identity_device_codes": WRITE,
    "identity_api_key_secrets": "select, insert, update",
    "catalog_titles": READ,
    "subscriptions": READ,
}
OF_BILLING = {**HANDLING, "subscription_due": READ, "catalog_schedule": READ}
OF_RELAY = {
    "event_log": READ,
    "partition_head": READ,
    "relay_lease": "select, update",
    "relay_member": WRITE,
    "idempotency": "select (key, created_at), delete",
}
VIEWS = (
    "playback_sessions",
    "catalog_titles",
    "catalog_windows",
    "catalog_search",
    "catalog_schedule",
    "subscription_plans",
    "subscriptions",
    "subscription_due",
    "subscription_invoices",
    "subscription_transactions",
    "subscription_purchases",
    "subscription_history",
    "identity_accounts",
    "identity_profiles",
    "identity_devices",
    "identity_sign_ins",
    "identity_api_keys",
    "operations_staff_actions",
    "dead_letters",
)
OF_PROJECTIONS = {"projection_checkpoint": "select, insert, update", **dict.fromkeys(VIEWS, WRITE)}
NOT_QUERIED = ("catalog_schedule", "subscription_due")
OF_QUERY = {
    "projection_checkpoint": READ,
    **{view: READ for view in VIEWS if view not in NOT_QUERIED},
    "person_key": "select (person_id, wrapped)",
    "identity_grants": "select (sign_in_id, account_id, rotated_at, expires_at)",
    "identity_api_key_secrets": "select, update (last_used_at)",
}

FUNCTIONS = {
    "append_events(smallint, text, int, uuid[], text[], timestamptz, bytea[])": (COMMANDS, BILLING),
    "append_and_remember(smallint, text, int, uuid[], text[], timestamptz, bytea[], text, text, bytea, bytea)": (
        COMMANDS,
        BILLING,
    ),
    "open_stream(text, text, bytea)": (COMMANDS, BILLING),
    "catalog_search_matching(jsonb, text, timestamptz, int)": (READER,),
    "catalog_search_alike(text, text, timestamptz, int)": (READER,),
    "playback_session_exists(text)": (READER,),
}

# Whose each row is, and the scopes that see all of them.
ACCOUNT = {"account_id": "account_id"}
ROWS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "playback_sessions": ({**ACCOUNT, "profile_id": "profile_id"}, ("playback:read",)),
    "subscriptions": (ACCOUNT, ("billing:read",)),
    "subscription_history": (ACCOUNT, ("billing:read",)),
    "subscription_invoices": (ACCOUNT, ("billing:read",)),
    "subscription_transactions": (ACCOUNT, ("billing:read",)),
    "subscription_purchases": (ACCOUNT, ("billing:read",)),
    "identity_accounts": (ACCOUNT, ("accounts:read",)),
    "identity_profiles": (ACCOUNT, ("accounts:read",)),
    "identity_devices": (ACCOUNT, ("accounts:read",)),
    "identity_sign_ins": (ACCOUNT, ("accounts:read",)),
    "identity_grants": (ACCOUNT, ("accounts:read",)),
    "person_key": ({"person_id": "account_id"}, ("accounts:read", "audit:read")),
    "identity_api_keys": ({}, ("api_keys:write", "operations:read", "audit:read")),
    "operations_staff_actions": ({}, ("audit:read",)),
    "dead_letters": ({}, ("operations:read",)),
}

# So that a session that is not the caller's is told from one that is not there: a 403 from a 404, and nothing else.
EXISTS = """
create function playback_session_exists(in_session_id text) returns boolean language sql stable security definer
set search_path = pg_catalog, public begin atomic
    select exists (select from playback_sessions where session_id = in_session_id);
end;
"""


def upgrade() -> None:
    """Apply it."""
    run_script(EXISTS)
    create_roles((COMMANDS, READER, RELAY, PROJECTIONS, BILLING))
    grant(COMMANDS, OF_COMMANDS)
    grant(BILLING, OF_BILLING)
    grant(RELAY, OF_RELAY)
    grant(PROJECTIONS, OF_PROJECTIONS)
    grant(READER, OF_QUERY)
    for function, roles in FUNCTIONS.items():
        run_script(f"""
            revoke execute on function {function} from public;
            grant execute on function {function} to {", ".join(roles)};
        """)
    _protect_rows()


def _protect_rows() -> None:
    for table, (own, scopes) in ROWS.items():
        writers = [role for role, tables in ((COMMANDS, OF_COMMANDS), (PROJECTIONS, OF_PROJECTIONS)) if table in tables]
        protect(table, own=own, scopes=scopes, writers=writers)
