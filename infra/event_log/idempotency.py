"""Requests that come again: the reply to the first is kept with its events and sent again."""

import hashlib
from typing import NamedTuple

from events.refusals import Refusal
from infra.postgres import Pool
from infra.settings import Settings


class IdempotencyKeyReused(Refusal):
    """The same Idempotency-Key came with another request."""


class HandledMeanwhile(Exception):
    """Another transaction handled the same request first: begin again and replay its reply."""


class Idempotency(NamedTuple):
    """What makes a repeated request recognisable: its key (scoped to its principal) and a digest of what it asked
    for.
    """

    key: str
    digest: bytes

    @classmethod
    def of(cls, *, principal: str, key: str, request: bytes) -> "Idempotency":
        """The identity of a request body sent under a key."""
        return cls(f"{principal}:{key}", hashlib.sha256(request).digest())

    def check(self, digest: bytes) -> None:
        """Raise IdempotencyKeyReused unless the request that was handled under this key is this one."""
        if digest != self.digest:
            raise IdempotencyKeyReused(
                "this Idempotency-Key was used for another request; use a new key for a new request"
            )


async def forget_old(pool: Pool, settings: Settings) -> int:
    """Drop the replies that were kept for idempotency_kept_hours, a bounded number at a time; how many went."""
    status: str = await pool.execute(
        """delete from idempotency where key in (
               select key from idempotency where created_at < now() - $1 * interval '1 hour' limit $2)""",
        settings.idempotency_kept_hours,
        settings.idempotency_forget_rows,
    )
    return int(status.rpartition(" ")[2])
