"""Those who audit read the log, the keys of persons and every view, and write nothing (ADR 27).

What signs anybody in (hashes, tokens, codes, keys of the API), replies that were kept, and mail are none of it.
"""

from infra.migrations.privileges import AUDITS, create_roles
from infra.migrations.sql import run_script

revision = "0027"
down_revision = "0025"

KEPT_FROM_AUDITS = (
    "alembic_version",
    "idempotency",
    "stream_snapshot",
    "relay_member",
    "identity_api_key_secrets",
    "identity_credentials",
    "identity_device_codes",
    "identity_grants",
    "identity_mail",
    "identity_one_time_tokens",
    "identity_profile_access",
)
# Versions of views are there under names of their own.
EVERY_TABLE = f"""
do $$ declare it record; begin
    for it in
        select relname, relrowsecurity from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm')
          and relname <> all (array['{"', '".join(KEPT_FROM_AUDITS)}'])
    loop
        execute format('grant select on %I to {AUDITS}', it.relname);
        if it.relrowsecurity then
            execute format('create policy %I on %I for select to {AUDITS} using (true)',
                           left(it.relname, 50) || '_of_audits', it.relname);
        end if;
    end loop;
end $$;
"""


def upgrade() -> None:
    """Apply it."""
    create_roles((AUDITS,))
    run_script(EVERY_TABLE)
