"""The second wall: what a query that forgot its where clause gets to see, table by table, as the query API's role."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from infra.access.permissions import Principal, Scope
from infra.ids import new_id
from infra.postgres import Pool, Role, connect_pool
from infra.settings import Settings
from query_api.drivers import postgres_driver
from query_api.row_security import reading_as
from query_api.stores import Store

pytestmark = pytest.mark.integration

OWNERS = ("account_id", "profile_id", "person_id")
"""The columns that say whose a row is. One of another name belongs here, and its table's rows under a policy."""

READABLE = """
    select c.relname as name, c.relrowsecurity and c.relforcerowsecurity as walled,
        array(select a.attname::text from pg_attribute as a
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                and has_column_privilege('playhead_query', c.oid, a.attnum, 'select')) as columns
    from pg_class as c
    where c.relkind in ('r', 'p', 'v', 'm') and c.relnamespace = 'public'::regnamespace
      and c.relname not in ('postgres_progress', 'view_versions')  -- of the projections' own running, nobody's
      and has_any_column_privilege('playhead_query', c.oid, 'select')
    order by c.relname
"""
OF_STAFF = {
    "identity_api_keys": Scope.API_KEYS_WRITE,
    "operations_staff_actions": Scope.AUDIT_READ,
    "dead_letters": Scope.OPERATIONS_READ,
    "operations_dead_letter_decisions": Scope.OPERATIONS_READ,
    "view_requests": Scope.OPERATIONS_READ,
}
"""Tables of nobody's own: only for who has the scope."""
SAMPLES: dict[str, object] = {
    "bigint": 1,
    "integer": 1,
    "smallint": 1,
    "boolean": True,
    "double precision": 0.5,
    "timestamp with time zone": datetime(2026, 1, 1, tzinfo=UTC),
    "jsonb": "[]",
    "bytea": b"sealed",
    "ARRAY": [],
}


def viewer(of: str) -> Principal:
    return Principal(subject=of, account_id=of, profile_id=of)


UNREFERRED = "set local session_replication_role = replica"  # rows without what they refer to


@pytest.fixture(scope="module")
async def people(postgres: Pool) -> AsyncIterator[tuple[str, str]]:
    """Two accounts, each with a row in every table that the query API's role can read; meanwhile."""
    accounts = (f"a-{new_id()}", f"b-{new_id()}")
    async with postgres.acquire() as connection, connection.transaction():
        await connection.execute(UNREFERRED)
        tables = [table["name"] for table in await connection.fetch(READABLE)]
        rows = [(table, await _insert(connection, table, account)) for table in tables for account in accounts]
    yield accounts
    async with postgres.acquire() as connection, connection.transaction():
        await connection.execute(UNREFERRED)
        for table, place in rows:
            await connection.execute(f"delete from {table} where ctid = $1::text::tid", place)


@pytest.fixture(scope="module")
async def store(live: Settings) -> AsyncIterator[Store[Pool]]:
    """The query API's own store, with a single connection, so that whoever comes next gets the same."""
    store = Store(postgres_driver(live.model_copy(update={"postgres_pool_max": 1})), live)
    await store._connect()
    yield store
    await store.close()


async def _insert(connection: Any, table: str, account: str) -> Any:
    """Where the row is."""
    columns = await connection.fetch(
        """select column_name as name, data_type as type from information_schema.columns
           where table_schema = 'public' and table_name = $1 and is_identity = 'NO' and is_generated = 'NEVER'""",
        table,
    )
    row = {
        column["name"]: account if column["name"] in OWNERS else SAMPLES.get(column["type"], new_id())
        for column in columns
    }
    names = ", ".join(f'"{name}"' for name in row)
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    values = [new_id().encode() if name == "digest" else value for name, value in row.items()]
    return await connection.fetchval(f"insert into {table} ({names}) values ({places}) returning ctid::text", *values)


async def tables_of_people(postgres: Pool) -> dict[str, list[str]]:
    """The readable tables that have an owner's column, each with these."""
    readable = await postgres.fetch(READABLE)
    of_people = {table["name"]: [name for name in OWNERS if name in table["columns"]] for table in readable}
    return {table: columns for table, columns in of_people.items() if columns}


async def test_every_readable_table_with_an_owner_is_behind_the_wall(postgres: Pool) -> None:
    walled = {table["name"]: table["walled"] for table in await postgres.fetch(READABLE)}
    of_people = await tables_of_people(postgres)
    assert len(of_people) >= 12
    assert [table for table in (*of_people, *OF_STAFF) if not walled[table]] == []


async def test_whose_a_row_is_can_be_read_wherever_anything_of_it_can(postgres: Pool) -> None:
    """A table whose owners' columns are all kept from the query API would escape the test above."""
    hidden = await postgres.fetch(
        """select c.relname from pg_class as c join pg_attribute as a on a.attrelid = c.oid
           where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attname = any($1)
             and has_any_column_privilege('playhead_query', c.oid, 'select')
           group by c.relname having not bool_or(has_column_privilege('playhead_query', c.oid, a.attnum, 'select'))""",
        list(OWNERS),
    )
    assert hidden == []


async def test_a_query_without_a_where_clause_sees_the_rows_of_its_caller_alone(
    postgres: Pool, store: Store[Pool], people: tuple[str, str]
) -> None:
    mine, theirs = people
    async with reading_as(store, viewer(mine)) as connection:
        for table, owners in (await tables_of_people(postgres)).items():
            rows = await connection.fetch(f"select {', '.join(owners)} from {table}")
            assert {value for row in rows for value in row.values()} == {mine}, table
            hunted = f"select {owners[0]} from {table} where {owners[0]} = $1 or true"
            assert theirs not in {row[0] for row in await connection.fetch(hunted, theirs)}, table


async def test_a_viewer_sees_nothing_of_what_is_for_staff(store: Store[Pool], people: tuple[str, str]) -> None:
    async with reading_as(store, viewer(people[0])) as connection:
        for table in OF_STAFF:
            assert await connection.fetchval(f"select count(*) from {table}") == 0, table


async def test_without_a_caller_there_are_no_rows(postgres: Pool, store: Store[Pool], people: tuple[str, str]) -> None:
    async with store.use() as pool:
        for table in (*(await tables_of_people(postgres)), *OF_STAFF):
            column = next(iter((await tables_of_people(postgres)).get(table, ["1"])))
            assert await pool.fetch(f"select {column} from {table}") == [], table


@pytest.mark.parametrize(
    ("scope", "table"),
    [
        (Scope.PLAYBACK_READ, "playback_sessions"),
        (Scope.BILLING_READ, "subscriptions"),
        (Scope.BILLING_READ, "subscription_invoices"),
        (Scope.ACCOUNTS_READ, "identity_accounts"),
        (Scope.ACCOUNTS_READ, "identity_grants"),
        (Scope.AUDIT_READ, "person_key"),
        *((scope, table) for table, scope in OF_STAFF.items()),
    ],
)
async def test_staff_see_everyones_rows_by_the_scope_for_them_and_by_no_other(
    postgres: Pool, store: Store[Pool], people: tuple[str, str], scope: Scope, table: str
) -> None:
    column = {"person_key": "person_id", "identity_grants": "account_id"}.get(table, "*")
    everyones = await postgres.fetchval(f"select count(*) from {table}")
    async with reading_as(store, Principal(subject="staff", scopes=frozenset({scope}))) as connection:
        assert len(await connection.fetch(f"select {column} from {table}")) == everyones >= 2
    others = frozenset({Scope.CATALOG_WRITE, Scope.STAFF_WRITE, Scope.BILLING_WRITE, Scope.OPERATIONS_WRITE})
    async with reading_as(store, Principal(subject="staff", scopes=others)) as connection:
        assert await connection.fetch(f"select {column} from {table}") == []


@pytest.mark.parametrize(
    "name",
    [
        "'; drop table subscriptions; --",
        "x', true); select set_config('playhead.scopes', 'billing:read",
        "\\",
        "\\x27",
        "E'\\''",
        "$$ or true $$",
        '"quoted"',
        "{}%s%(x)s{0}",
        "김민지 \u202e 🎬",
        "a\r\nb",
        "*",
        "billing:read",
        "",
    ],
)
async def test_no_name_that_a_caller_can_have_opens_anything(
    store: Store[Pool], people: tuple[str, str], name: str
) -> None:
    async with reading_as(store, viewer(name)) as connection:
        assert await connection.fetchval("select current_setting('playhead.account_id')") == name
        assert await connection.fetchval("select current_setting('playhead.profile_id')") == name
        assert await connection.fetch("select * from subscriptions") == []
        assert await connection.fetch("select * from playback_sessions") == []


@pytest.mark.parametrize("name", ["nul\0byte", "half\ud800"])
async def test_a_name_that_no_row_can_have_sees_no_row(store: Store[Pool], name: str) -> None:
    async with reading_as(store, viewer(name)) as connection:
        assert await connection.fetchval("select current_setting('playhead.account_id')") == ""
        assert await connection.fetch("select * from subscriptions") == []


async def test_who_uses_the_connection_next_is_nobody_again(store: Store[Pool], people: tuple[str, str]) -> None:
    used = []
    async with reading_as(store, viewer(people[0])) as connection:
        used.append(connection.get_server_pid())
        assert await connection.fetch("select * from subscriptions") != []
    with pytest.raises(ValueError, match="a route's own"):
        async with reading_as(store, viewer(people[0])):
            raise ValueError("a route's own")
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with reading_as(store, viewer(people[0])) as connection:
            await connection.fetch("select 1 / 0")
    async with store.use() as pool, pool.acquire() as after:
        used.append(after.get_server_pid())
        assert not after.is_in_transaction()
        for setting in ("account_id", "profile_id", "scopes"):
            assert await after.fetchval(f"select current_setting('playhead.{setting}', true)") == ""
        assert await after.fetch("select * from subscriptions") == []
    assert used[0] == used[1]


async def test_nothing_is_written_in_the_name_of_a_reader(store: Store[Pool]) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with reading_as(store, viewer("anybody")) as connection:
            await connection.execute("update identity_api_key_secrets set last_used_at = now()")


async def test_a_caller_cannot_be_anybody_by_asking_for_it_in_another_role(live: Settings) -> None:
    """A process of the query API stays in its role: to leave it, its user would have to be one of another."""
    pool = await connect_pool(live, role=Role.QUERY, size=1)
    try:
        assert await pool.fetchval("select current_user") == "playhead_query"
        assert await pool.fetchval("select row_security_active('subscriptions')")
    finally:
        await pool.close()
