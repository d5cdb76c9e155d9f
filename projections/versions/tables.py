"""The tables of versions: made like the live one with whoever may do what with it, exchanged with it, dropped."""

from collections.abc import Mapping
from typing import Final

from infra.postgres import Connection
from projections.versions.registry import VersionRefused

ABOUT: Final = """
    select relowner::regrole::text as owner, relrowsecurity, relforcerowsecurity, reloptions
    from pg_class where oid = $1::regclass
"""
POLICIES: Final = """
    select policyname, permissive, roles, cmd, qual, with_check from pg_policies
    where schemaname = 'public' and tablename = $1
"""
GRANTS: Final = """
    select privilege_type as privilege, null as of_column, grantee::regrole::text as role
    from pg_class, aclexplode(relacl) where oid = $1::regclass and grantee <> 0 and grantee <> relowner
    union all
    select privilege_type, attname, grantee::regrole::text
    from pg_attribute, aclexplode(attacl) where attrelid = $1::regclass and grantee <> 0
"""
COLUMNS: Final = """
    select attname, format_type(atttypid, atttypmod) as type, attnotnull from pg_attribute
    where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum
"""
FUNCTIONS: Final = """
    select distinct pg_get_functiondef(objid) as definition from pg_depend
    where classid = 'pg_proc'::regclass and refclassid = 'pg_class'::regclass and refobjid = $1::regclass
"""
"""Functions whose body Postgres keeps parsed know a table by its number, and would go on to read the old one."""
BOUND: Final = """
    select pg_describe_object(classid, objid, objsubid) as what from pg_depend
    where refclassid = 'pg_class'::regclass and refobjid = $1::regclass and deptype = 'n' and (
        classid = 'pg_rewrite'::regclass or
        (classid = 'pg_policy'::regclass and (select polrelid from pg_policy where oid = objid) <> refobjid) or
        (classid = 'pg_constraint'::regclass and (select conrelid from pg_constraint where oid = objid) <> refobjid)
    )
"""


async def create_like(connection: Connection, live: str, table: str) -> None:
    """An empty table with the columns, indexes, policies and grants of a live one."""
    await connection.execute(f"create table {table} (like {live} including all)")
    about = await connection.fetchrow(ABOUT, live)
    assert about is not None
    statements = [f"alter table {table} owner to {about['owner']}"]
    statements += [f"alter table {table} set ({option})" for option in about["reloptions"] or ()]
    if about["relrowsecurity"]:
        statements.append(f"alter table {table} enable row level security")
    if about["relforcerowsecurity"]:
        statements.append(f"alter table {table} force row level security")
    for policy in await connection.fetch(POLICIES, live):
        using = f" using ({policy['qual']})" if policy["qual"] else ""
        check = f" with check ({policy['with_check']})" if policy["with_check"] else ""
        statements.append(
            f'create policy "{policy["policyname"]}" on {table} as {policy["permissive"]} for {policy["cmd"]} '
            f"to {', '.join(policy['roles'])}{using}{check}"
        )
    for grant in await connection.fetch(GRANTS, live):
        of_column = f' ("{grant["of_column"]}")' if grant["of_column"] else ""
        statements.append(f"grant {grant['privilege']}{of_column} on {table} to {grant['role']}")
    for statement in statements:
        await connection.execute(statement)


async def exchange(connection: Connection, parked: Mapping[str, str], shown: Mapping[str, str]) -> None:
    """Have what is live under the names of `parked`, and the tables of `shown` in its place; both by view. In the
    caller's transaction, whose lock_timeout holds. Raises VersionRefused.
    """
    names = [*parked, *shown.values()]
    await connection.execute(f"lock table {', '.join(names)} in access exclusive mode")
    functions: list[str] = []
    for view, table in shown.items():
        await _check(connection, view, table)
        functions += [row["definition"] for row in await connection.fetch(FUNCTIONS, view)]
    for view, name in parked.items():
        await connection.execute(f"alter table {view} rename to {name}")
    for view, table in shown.items():
        await connection.execute(f"alter table {table} rename to {view}")
    for definition in dict.fromkeys(functions):
        await connection.execute(definition)


async def drop(connection: Connection, tables: Mapping[str, str]) -> None:
    """Drop the tables of a version."""
    await connection.execute(f"drop table if exists {', '.join(tables.values())}")


async def _check(connection: Connection, live: str, table: str) -> None:
    """Raises VersionRefused when a table cannot be in the place of a live one."""
    one, other = await connection.fetch(COLUMNS, live), await connection.fetch(COLUMNS, table)
    if one != other:
        raise VersionRefused(
            f"{live} has changed since {table} was made: retire that version, and rebuild the view; "
            f"columns that differ: {sorted({row['attname'] for row in {*one} ^ {*other}})}"
        )
    if bound := await connection.fetch(BOUND, live):
        raise VersionRefused(f"{live} cannot be renamed: bound to it are {', '.join(row['what'] for row in bound)}")
