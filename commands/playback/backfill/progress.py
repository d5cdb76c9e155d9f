"""How far a backfill is, kept in Postgres under its Idempotency-Key, so that a request that broke off goes on there.

A line is done once Kafka has acknowledged it, or nobody will ever take it. What was acknowledged and not yet noted is
produced again, under the same event id, and counts once.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from commands.playback.refusals import BackfillOvertaken
from infra.clock import Clock
from infra.postgres import Pool
from infra.settings import Settings

COLUMNS: Final = "lines_done, accepted, warnings, rejected, digest, is_whole"
FIND: Final = f"select {COLUMNS}, updated_at, expires_at from backfill_progress where place = $1 and expires_at > $2"
FORGET: Final = """
    delete from backfill_progress where place in (
        select place from backfill_progress where expires_at <= $1 order by expires_at limit $2)"""
SAVE: Final = f"""
    insert into backfill_progress as kept (place, {COLUMNS}, updated_at, expires_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    on conflict (place) do update
        set lines_done = $2, accepted = $3, warnings = $4, rejected = $5, digest = $6, is_whole = $7, updated_at = $8,
            expires_at = $9
        where kept.lines_done = $10 and kept.digest = $11
    returning true"""


class Done(NamedTuple):
    """The lines that are done, from the first: how many, how they ended, and a digest of them. `is_whole`: there were
    no more.
    """

    lines: int = 0
    accepted: int = 0
    warnings: int = 0
    rejected: int = 0
    digest: bytes = b""
    is_whole: bool = False


NOTHING: Final = Done()


class Found(NamedTuple):
    """What is kept of a backfill."""

    done: Done
    updated_at: datetime
    expires_at: datetime


class Place(bytes):
    """Where progress is kept: a digest of who asked and of their key, so that neither is."""

    @classmethod
    def of(cls, principal: str, key: str) -> "Place":
        """The place of a principal's key."""
        return cls(hashlib.sha256(f"{principal}\0{key}".encode()).digest())


class PostgresProgress:
    """The table backfill_progress."""

    def __init__(self, pool: Pool, clock: Clock, settings: Settings) -> None:
        self._pool = pool
        self._clock = clock
        self._kept = timedelta(hours=settings.idempotency_kept_hours)
        self._forget_rows = settings.backfill_forget_rows

    async def find(self, place: Place) -> Found | None:
        """What is kept there."""
        row = await self._pool.fetchrow(FIND, place, self._clock())
        return None if row is None else Found(Done(*row[:6]), row["updated_at"], row["expires_at"])

    async def save(self, place: Place, before: Done, done: Done) -> None:
        """Note what is done, where `before` was noted. Raises BackfillOvertaken when something else is by now."""
        now = self._clock()
        if not await self._pool.fetchval(SAVE, place, *done, now, now + self._kept, before.lines, before.digest):
            raise BackfillOvertaken("another request under this Idempotency-Key is at work; send this one again")

    async def forget_expired(self) -> None:
        """Drop what has expired, a bounded number of rows."""
        await self._pool.execute(FORGET, self._clock(), self._forget_rows)
