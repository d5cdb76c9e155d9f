"""Each process's role in Postgres: what it must not do is refused, and nothing is there that no role was given."""

import os
import re
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import asyncpg
import pytest

from infra import event_log
from infra import postgres as connections
from infra.postgres import Pool, Role, connect_pool
from infra.settings import Settings
from projections.app import postgres_views

pytestmark = pytest.mark.integration

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
SQL = re.compile(r"^```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OF_NOBODY = {"alembic_version"}
"""For who migrates alone."""

REFUSED = [
    (Role.QUERY, "select * from identity_credentials"),
    (Role.QUERY, "select pin_hash from identity_profile_access"),
    (Role.QUERY, "select * from identity_grants"),
    (Role.QUERY, "select generation from identity_grants"),
    (Role.QUERY, "select * from identity_one_time_tokens"),
    (Role.QUERY, "select * from identity_device_codes"),
    (Role.QUERY, "select * from identity_mail"),
    (Role.QUERY, "select * from event_log"),
    (Role.QUERY, "select * from idempotency"),
    (Role.QUERY, "update identity_api_key_secrets set revoked_at = null"),
    (Role.QUERY, "update identity_api_key_secrets set scopes = '{staff:write}'"),
    (Role.QUERY, "update person_key set wrapped = null"),
    (Role.QUERY, "delete from dead_letters"),
    (Role.QUERY, "select append_events(0::smallint, 's', 0, '{}', '{}', now(), '{}')"),
    (Role.QUERY, "create table mine (it int)"),
    (Role.QUERY, "alter table subscriptions no force row level security"),
    (Role.QUERY, "drop policy subscriptions_of_caller on subscriptions"),
    (Role.RELAY, "insert into event_log select * from event_log"),
    (Role.RELAY, "update partition_head set position = 0"),
    (Role.RELAY, "select reply from idempotency"),
    (Role.RELAY, "select * from stream_snapshot"),
    (Role.RELAY, "select * from identity_credentials"),
    (Role.RELAY, "select * from person_key"),
    (Role.RELAY, "select * from subscriptions"),
    (Role.RELAY, "select * from open_stream('s', null, null)"),
    (Role.PROJECTIONS, "select * from event_log"),
    (Role.PROJECTIONS, "select * from identity_credentials"),
    (Role.PROJECTIONS, "select * from identity_profile_access"),
    (Role.PROJECTIONS, "select * from identity_api_key_secrets"),
    (Role.PROJECTIONS, "select * from person_key"),
    (Role.PROJECTIONS, "update identity_grants set generation = 0"),
    (Role.PROJECTIONS, "delete from projection_checkpoint"),
    (Role.BILLING, "select * from identity_credentials"),
    (Role.BILLING, "select * from person_key"),
    (Role.BILLING, "select * from identity_accounts"),
    (Role.BILLING, "update subscriptions set status = 'active'"),
    (Role.BILLING, "delete from subscription_due"),
    (Role.REAPER, "update playback_sessions set exit_reason = 'expired'"),
    (Role.REAPER, "delete from playback_sessions"),
    (Role.REAPER, "update projection_checkpoint set next_offset = 0"),
    (Role.REAPER, "select * from event_log"),
    (Role.REAPER, "select * from identity_accounts"),
    (Role.REAPER, "select * from subscriptions"),
    (Role.AUDITS, "insert into event_log select * from event_log"),
    (Role.AUDITS, "select append_events(0::smallint, 's', 0, '{}', '{}', now(), '{}')"),
    (Role.AUDITS, "update partition_head set position = 0"),
    (Role.AUDITS, "update person_key set wrapped = null"),
    (Role.AUDITS, "delete from subscriptions"),
    (Role.AUDITS, "select * from identity_credentials"),
    (Role.AUDITS, "select * from identity_grants"),
    (Role.AUDITS, "select * from identity_mail"),
    (Role.AUDITS, "select * from identity_api_key_secrets"),
    (Role.AUDITS, "update identity_api_key_secrets set revoked_at = null"),
    (Role.AUDITS, "update identity_api_key_secrets set last_used_at = now()"),
    (Role.AUDITS, "select reply from idempotency"),
    (Role.COMMANDS, "update event_log set type = 'other'"),
    (Role.COMMANDS, "delete from person_key"),
    (Role.COMMANDS, "delete from identity_api_key_secrets"),
    (Role.COMMANDS, "update subscriptions set status = 'active'"),
    (Role.COMMANDS, "update projection_checkpoint set position = 0"),
    (Role.COMMANDS, "update subscription_purchases set status = 'granted'"),
    (Role.COMMANDS, "delete from catalog_windows"),
    (Role.COMMANDS, "select * from subscription_invoices"),
    (Role.COMMANDS, "alter role playhead_commands superuser"),
]


@pytest.fixture(scope="module", params=list(Role), ids=lambda role: role.name.lower())
async def taken(request: pytest.FixtureRequest, live: Settings) -> AsyncIterator[tuple[Role, Pool]]:
    """A pool in each of the roles."""
    pool = await connect_pool(live, role=request.param, size=1)
    yield request.param, pool
    await pool.close()


async def test_a_process_is_its_role_however_mighty_the_user_is_that_connects(taken: tuple[Role, Pool]) -> None:
    role, pool = taken
    assert await pool.fetchval("select current_user") == role.value
    assert not await pool.fetchval(
        "select rolsuper or rolbypassrls or rolcreaterole or rolcanlogin from pg_roles where rolname = current_user"
    )


async def test_what_a_role_must_not_do_is_refused(taken: tuple[Role, Pool]) -> None:
    role, pool = taken
    statements = [statement for named, statement in REFUSED if named is role]
    assert len(statements) >= 5
    for statement in statements:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)
            pytest.fail(f"{role.value} may: {statement}")


async def test_every_table_was_given_to_a_role_or_is_kept_from_all(postgres: Pool) -> None:
    """A migration that makes a table says who may use it, or belongs in OF_NOBODY."""
    forgotten = await postgres.fetch(
        """select c.relname from pg_class as c
           where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
             and not exists (
                 select from unnest($1::text[]) as role
                 where has_any_column_privilege(role, c.oid, 'select, insert, update') or
                       has_table_privilege(role, c.oid, 'delete')
             )""",
        [role.value for role in Role],
    )
    assert {row["relname"] for row in forgotten} == OF_NOBODY


async def test_nothing_was_given_to_everybody(postgres: Pool) -> None:
    tables = await postgres.fetch(
        "select table_name from information_schema.role_table_grants where grantee = 'PUBLIC' and table_schema = $1",
        "public",
    )
    functions = await postgres.fetch(
        """select p.proname from pg_proc as p
           where p.pronamespace = 'public'::regnamespace
             and not exists (select from pg_depend as d where d.objid = p.oid and d.deptype = 'e')  -- an extension's
             and has_function_privilege('public', p.oid, 'execute')"""
    )
    assert (tables, functions) == ([], [])


async def test_the_query_role_writes_nothing_but_when_a_key_was_last_used(postgres: Pool) -> None:
    columns = await postgres.fetch(
        """select c.relname || '.' || a.attname as name
           from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
           where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
             and (has_column_privilege('playhead_query', c.oid, a.attnum, 'insert, update')
                  or has_table_privilege('playhead_query', c.oid, 'delete, truncate'))"""
    )
    assert [row["name"] for row in columns] == ["identity_api_key_secrets.last_used_at"]


async def test_history_is_nobodys_to_change(postgres: Pool) -> None:
    for role, what in product(Role, ("update", "delete", "truncate")):
        assert not await postgres.fetchval("select has_table_privilege($1, 'event_log', $2)", role.value, what)
        if what == "update":
            assert not await postgres.fetchval("select has_any_column_privilege($1, 'event_log', $2)", role.value, what)


async def test_hashes_of_passwords_and_pins_are_for_the_commands_alone(postgres: Pool) -> None:
    for role, column in product(Role, ("identity_credentials.password_hash", "identity_profile_access.pin_hash")):
        table, name = column.split(".")
        may = await postgres.fetchval("select has_column_privilege($1, $2, $3, 'select')", role.value, table, name)
        assert may is (role is Role.COMMANDS), (role, column)


async def test_every_view_can_be_written_by_the_projections(postgres: Pool) -> None:
    for view in postgres_views(Settings()):
        for what in ("select", "insert", "update", "delete"):
            assert await postgres.fetchval(
                "select has_table_privilege('playhead_projections', $1, $2)", view.name, what
            ), (view.name, what)


async def test_every_view_can_be_read_by_those_who_audit(postgres: Pool) -> None:
    for view in postgres_views(Settings()):
        assert await postgres.fetchval("select has_table_privilege('playhead_audits', $1, 'select')", view.name), (
            view.name
        )
        hidden = await postgres.fetchval(
            """select relrowsecurity and not exists (
                   select from pg_policies where tablename = $1 and 'playhead_audits' = any(roles)
               ) from pg_class where oid = $1::regclass""",
            view.name,
        )
        assert not hidden, view.name


async def test_users_made_as_the_documentation_says_can_do_their_work_and_no_others(live: Settings) -> None:
    prod = f"prod_{os.getpid()}"
    before, after = (block.replace("prod", prod) for block in SQL.findall(OPERATIONS.read_text()))
    administrator = await asyncpg.connect(live.postgres_dsn)
    server = live.postgres_dsn.partition("@")[2].rpartition("/")[0]

    def as_user(user: str) -> Settings:
        return live.model_copy(update={"postgres_dsn": f"postgresql://{prod}_{user}@{server}/{prod}"})

    try:
        await _each(administrator, before)
        await connections.migrate(as_user("migrations"))
        await event_log.create_partitions(as_user("migrations"))
        await _each(administrator, after)
        for role in Role:
            await _is_in_its_role_and_no_other(as_user(role.name.lower()), role)
        pool = await connect_pool(as_user("query"), role=Role.QUERY, size=1)
        assert await pool.fetch("select * from catalog_titles") == []
        assert await pool.fetchval("select playback_session_exists('none')") is False
        await pool.close()
    finally:
        await administrator.execute(f"drop database if exists {prod} with (force)")
        for user in ("migrations", *(role.name.lower() for role in Role)):
            await administrator.execute(f"drop role if exists {prod}_{user}")
        await administrator.close()


async def _each(connection: connections.Connection, statements: str) -> None:
    """One by one: a database is not made in a transaction."""
    for statement in statements.split(";"):
        if statement.strip():
            await connection.execute(statement)


async def _is_in_its_role_and_no_other(settings: Settings, role: Role) -> None:
    pool = await connect_pool(settings, role=role, size=1)
    assert await pool.fetchval("select current_user") == role.value
    for other in set(Role) - {role}:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(f"set role {other.value}")
    await pool.close()
    wrong = await connect_pool(settings, role=next(each for each in Role if each is not role), size=1)
    with pytest.raises(asyncpg.PostgresError, match="role"):
        await wrong.fetchval("select 1")
    await wrong.close()
