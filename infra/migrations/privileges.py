"""The SQL by which a revision says who may do what with a table, and whose rows the query API's role sees.

A role is one of a cluster, not of a database: databases on one server share them.
"""

from collections.abc import Iterable, Iterator, Mapping

from infra.migrations.sql import run_script

READER = "playhead_query"
AUDITS = "playhead_audits"


def create_roles(names: Iterable[str]) -> None:
    """Make the roles that the cluster does not have yet; of two databases that do it at once, one is first."""
    for name in names:
        run_script(f"""
            do $$ begin
                if not exists (select from pg_roles where rolname = '{name}') then create role {name} nologin; end if;
            exception when duplicate_object or unique_violation then null;  -- made meanwhile
            end $$;
        """)


def grant(role: str, tables: Mapping[str, str]) -> None:
    """Let a role do with each table what is named, such as "select, insert" or "select (key)"."""
    run_script("".join(f"grant {what} on {table} to {role};\n" for table, what in tables.items()))


def protect(table: str, *, own: Mapping[str, str], scopes: Iterable[str], writers: Iterable[str]) -> None:
    """Show the query API's role the rows of a table that are its caller's, or all to who has one of the scopes.

    `own`: columns, each with the setting that names its owner, "account_id" or "profile_id". `writers`: the roles that
    see and write every row. For everybody else, the table's owner included, there are none.
    """
    conditions = " or ".join([*_is_own(own), _has_scope(scopes)])
    run_script(f"""
        alter table {table} enable row level security;
        alter table {table} force row level security;
        create policy {table}_of_caller on {table} for select to {READER} using ({conditions});
        create policy {table}_of_process on {table} to {", ".join(writers)} using (true) with check (true);
    """)


def show_audits(*tables: str) -> None:
    """Let those who audit read tables, every row; after protect(), where a table has that."""
    for table in tables:
        run_script(f"""
            grant select on {table} to {AUDITS};
            do $$ begin
                if (select relrowsecurity from pg_class where oid = '{table}'::regclass) then
                    create policy {table}_of_audits on {table} for select to {AUDITS} using (true);
                end if;
            end $$;
        """)


def _is_own(own: Mapping[str, str]) -> Iterator[str]:
    # A subquery, so that a setting is read once a query and not once a row. It is '' after a transaction that set it.
    for column, setting in own.items():
        yield f"{column} = (select nullif(current_setting('playhead.{setting}', true), ''))"


def _has_scope(scopes: Iterable[str]) -> str:
    listed = ", ".join(f"'{scope}'" for scope in scopes)
    return f"(select string_to_array(current_setting('playhead.scopes', true), ' ') && array[{listed}])"
