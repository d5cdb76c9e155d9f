"""How rows get into Postgres: those of a view as they are now, and what is added up of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import asyncpg
import msgspec

from infra.postgres import Connection
from projections.aggregating import emptied, grows, is_empty, plus
from projections.errors import RecordRefused, StoreUnavailable
from projections.stores.tables import Table
from projections.views import AggregateView

UNAVAILABLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,  # the client's own: its connection was lost in between
    asyncpg.InternalClientError,  # a connection that went away in the middle of an exchange
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, a statement canceled
    asyncpg.TransactionRollbackError,  # deadlock, serialization
    asyncpg.ReadOnlySQLTransactionError,  # a standby, while it takes over
    asyncpg.LockNotAvailableError,
)
_REFUSED: Final = (
    asyncpg.DataError,
    asyncpg.exceptions._base.DataError,  # the client's: a value that the column's type cannot hold
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,  # a key too long for its index
)


@contextmanager
def told_apart(view: str | None = None) -> Iterator[None]:
    """Turns asyncpg's errors into the engine's. What is neither is a fault of ours, and ends the process."""
    try:
        yield
    except _REFUSED as error:
        if view is None:
            raise
        raise RecordRefused(view, str(error)) from error
    except UNAVAILABLE as error:
        raise StoreUnavailable(repr(error)) from error


async def save(connection: Connection, table: Table, changed: Mapping[str, tuple[msgspec.Struct | None, int]]) -> int:
    """Write rows by key, None for those that are no more; how many that is. One statement for the rows that are, and
    seldom one for the others.
    """
    rows = [row for row, _ in changed.values() if row is not None]
    gone = [key for key, (row, _) in changed.items() if row is None]
    with told_apart(table.name):
        if rows:
            await connection.execute(table.upsert, *table.columns_of(rows))
        if gone:
            await connection.execute(table.delete, gone)
    return len(changed)


async def add_up(
    connection: Connection, view: AggregateView[Any, Any], table: Table, net: Mapping[str, msgspec.Struct]
) -> int:
    """Add to the rows of an aggregate, by key; how many that is. Workers of other partitions add to them as well: they
    are locked, in the order of their keys, until the transaction ends.
    """
    if not net:
        return 0
    if table.add:
        return await _add_in_place(connection, view, table, net)
    keys = sorted(net)
    with told_apart(table.name):
        held = {record[0]: table.row_of(record) for record in await connection.fetch(table.lock, keys)}
        if missing := [net[key] for key in keys if key not in held]:
            nothing = [emptied(view, one) for one in missing]
            await connection.execute(table.insert_missing, *table.columns_of(nothing))
            made = [key for key in keys if key not in held]
            held |= {record[0]: table.row_of(record) for record in await connection.fetch(table.lock, made)}
    rows = {key: plus(view, held[key], net[key]) for key in keys}
    return await save(connection, table, {key: (None if is_empty(view, row) else row, 0) for key, row in rows.items()})


async def _add_in_place(
    connection: Connection, view: AggregateView[Any, Any], table: Table, net: Mapping[str, msgspec.Struct]
) -> int:
    """The same in one statement, when Postgres can add: nothing is read."""
    shrunk = [key for key, row in net.items() if not grows(view, row)]
    with told_apart(table.name):
        await connection.execute(table.add, *table.columns_of([net[key] for key in sorted(net)]))
        if shrunk:
            await connection.execute(table.delete_empty, shrunk)
    return len(net)
