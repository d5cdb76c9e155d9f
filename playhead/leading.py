"""Which of several processes that do the same is at work: the one that holds a lock of Postgres, which goes with its
connection. The others wait for it, so that one that is killed is followed at once.
"""

import asyncio
from typing import Final

from infra.postgres import Connection, connect
from infra.settings import Settings

LOCK: Final = "select pg_try_advisory_lock(hashtext('playhead'), hashtext($1))"
HELD: Final = """
    select exists (
        select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() and granted
          and classid = hashtext('playhead')::oid and objid = hashtext($1)::oid
    )
"""


class Lead:
    """The lead of those who do the same work, by its name."""

    def __init__(self, settings: Settings, work: str) -> None:
        self._settings = settings
        self._work = work
        self._connection: Connection | None = None

    async def held(self) -> bool:
        """Whether it is ours now: taken if it is nobody's. Raises what a connection raises; then it is not."""
        try:
            async with asyncio.timeout(self._settings.query_timeout_s):
                if self._connection is None:
                    self._connection = await connect(self._settings)
                elif await self._connection.fetchval(HELD, self._work):
                    return True
                return bool(await self._connection.fetchval(LOCK, self._work))
        except BaseException:
            self.give_up()
            raise

    def give_up(self) -> None:
        """Let another have it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
