"""Rows of people, read in the name of whoever asks: Postgres itself shows a caller no others (ADR 11), whatever a query
forgets to say.

The caller's settings are those of a transaction and end with it: none is left for who uses the connection next.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from infra.access.permissions import Principal
from infra.postgres import Connection, Pool
from query_api.stores import Store

SET: Final = "set_config('playhead.{name}', convert_from('\\x{value}', 'UTF8'), true)"


@asynccontextmanager
async def reading_as(store: Store[Pool], caller: Principal) -> AsyncIterator[Connection]:
    """A connection that sees the rows of a caller and can write nothing. Raises StoreUnavailable."""
    cut_off: tuple[type[BaseException], ...] = (asyncio.CancelledError, *store.failures)
    async with store.use() as pool, pool.acquire() as connection:
        try:
            await connection.execute(beginning(caller))
            yield connection  # type: ignore[misc]  # a proxy that the stubs do not take for a connection
        except cut_off:
            connection.terminate()  # whatever it was in the middle of, the next read has another
            raise
        finally:
            if not connection.is_closed():
                await connection.execute("commit")


def beginning(caller: Principal) -> str:
    """The statements that begin a caller's transaction: one round trip, so without parameters. What they set is spelt
    in hexadecimal digits, which end no literal.
    """
    values = {
        "account_id": caller.account_id,
        "profile_id": caller.profile_id,
        "scopes": " ".join(sorted(caller.scopes)),
    }
    settings = (SET.format(name=name, value=_hexadecimal(value or "")) for name, value in values.items())
    return f"begin read only; select {', '.join(settings)}"


def _hexadecimal(value: str) -> str:
    """Of what Postgres cannot hold (a NUL, half of a surrogate pair) nothing: it is in no row."""
    try:
        return "" if "\0" in value else value.encode().hex()
    except UnicodeEncodeError:
        return ""
