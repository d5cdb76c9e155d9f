"""Tables of Postgres to files and back by COPY, in one snapshot and in one transaction; whether the log is whole."""

from hashlib import sha256
from pathlib import Path
from typing import Final

from audits.backups.manifest import TABLES, BackupRefused, Dumped, Head, Written
from audits.backups.tables import BORN_FILLED, FILTERED
from infra.event_log.partitions import GENESIS
from infra.postgres import Connection

OF_TABLES: Final = "select tablename from pg_tables where schemaname = 'public' order by tablename"
COLUMNS: Final = """
    select attname as name, attidentity <> '' as numbers from pg_attribute
    where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum
"""
NUMBERS_ON: Final = """
    select setval(pg_get_serial_sequence('{table}', '{column}'), (select max("{column}") from {table}))
    from {table} limit 1
"""
HEADS: Final = "select partition, position, hash from partition_head order by partition"
BROKEN: Final = """
    select partition, position from (
        select partition, position, body, digest, hash,
               lag(hash, 1, $1::bytea) over chain as hash_before, lag(position, 1, 0::bigint) over chain as before
        from event_log window chain as (partition by partition order by position)
    ) as chained
    where position <> before + 1 or digest <> sha256(body)
       or hash <> sha256(hash_before || digest || int2send(partition) || int8send(position))
    order by partition, position limit 1
"""
ENDS: Final = """
    select head.partition, head.position from partition_head as head left join lateral (
        select position, hash from event_log as log where log.partition = head.partition
        order by position desc limit 1
    ) as last on true
    where (head.position, head.hash) is distinct from (coalesce(last.position, 0), coalesce(last.hash, $1::bytea))
    limit 1
"""
AT: Final = "select hash from event_log where partition = $1 and position = $2"


async def tables_of(connection: Connection) -> list[str]:
    """Every table that there is."""
    return [row["tablename"] for row in await connection.fetch(OF_TABLES)]


async def dump(connection: Connection, directory: Path, table: str) -> Dumped:
    """Write a table's rows to a file."""
    columns = [row["name"] for row in await connection.fetch(COLUMNS, table)]
    listed = ", ".join(f'"{column}"' for column in columns)
    kept = f" where {FILTERED[table]}" if table in FILTERED else ""
    path = f"{TABLES}/{table}.copy"
    digest, size = sha256(), 0
    with (directory / path).open("xb") as file:

        async def write(piece: bytes) -> None:
            nonlocal size
            digest.update(piece)
            size += file.write(piece)

        status = await connection.copy_from_query(
            f"select {listed} from {table}{kept}", output=write, format="binary", timeout=None
        )
    return Dumped(table, columns, int(status.rpartition(" ")[2]), Written(path, size, digest.hexdigest()))


async def load(connection: Connection, directory: Path, dumped: Dumped) -> None:
    """Fill a table from its file; numbers that Postgres gives go on after the greatest."""
    if dumped.table in BORN_FILLED:
        await connection.execute(f"delete from {dumped.table}")
    status = await connection.copy_to_table(
        dumped.table, source=directory / dumped.file.path, columns=dumped.columns, format="binary", timeout=None
    )
    if (rows := int(status.rpartition(" ")[2])) != dumped.rows:
        raise BackupRefused(f"{dumped.table}: {rows} rows came out of {dumped.rows}")
    for row in await connection.fetch(COLUMNS, dumped.table):
        if row["numbers"]:
            await connection.execute(NUMBERS_ON.format(table=dumped.table, column=row["name"]))


async def heads(connection: Connection) -> list[Head]:
    """Where the log ends."""
    return [Head(row["partition"], row["position"], row["hash"].hex()) for row in await connection.fetch(HEADS)]


async def check_log(connection: Connection, ends: list[Head]) -> None:
    """Compute the chain of every event anew, and that it leads through these ends. Raises BackupRefused."""
    broken = await connection.fetchrow(BROKEN, GENESIS, timeout=None)
    if broken is not None:
        raise BackupRefused(f"the log is broken at partition {broken['partition']}, position {broken['position']}")
    wrong = await connection.fetchrow(ENDS, GENESIS, timeout=None)
    if wrong is not None:
        raise BackupRefused(f"partition {wrong['partition']} of the log does not end as its head says")
    for end in ends:
        found = await connection.fetchval(AT, end.partition, end.position) if end.position else GENESIS
        if found is None or found.hex() != end.hash:
            raise BackupRefused(f"partition {end.partition} of the log is another one at position {end.position}")


async def check_empty(connection: Connection, revision: str) -> None:
    """Raises BackupRefused unless the database is empty, or as `migrate` of this revision leaves it."""
    tables = await tables_of(connection)
    if "alembic_version" in tables:
        if (found := await connection.fetchval("select version_num from alembic_version")) != revision:
            raise BackupRefused(
                f"Postgres is at revision {found} and the backup of {revision}: restore into a database without tables"
            )
    elif tables:
        raise BackupRefused(f"Postgres has tables of somebody else: {', '.join(tables[:3])}")
    for table in tables:
        if table == "alembic_version":
            continue
        kept = " where position > 0" if table in BORN_FILLED else ""
        if await connection.fetchval(f"select exists (select from {table}{kept})"):
            raise BackupRefused(f"Postgres is not empty: {table} has rows; a restore is into empty servers alone")
