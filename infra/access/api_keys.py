"""API keys of servers and dashboards, as both APIs verify them: `Authorization: Bearer phk_<id>_<secret>_<checksum>`.

A key is looked up in Postgres by its SHA-256 (it is random, so it needs no slow hash), and what was found is kept for
settings.api_key_kept_s. While Postgres is away, those that are kept are taken until they are stale.
"""

import asyncio
import contextlib
import hashlib
import re
import zlib
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
from cachetools import LRUCache

from infra.access.permissions import Principal, Scope
from infra.access.tokens import BadToken
from infra.background import beside
from infra.clock import Clock, monotonic_s, utc_now
from infra.http.problems import Refusal
from infra.postgres import Pool
from infra.settings import Settings
from infra.telemetry import log

PREFIX: Final = "phk_"
"""What scanners for leaked secrets look for."""
SUBJECT: Final = "api_key:"
"""What the log's principal begins with, of what was done with a key."""
SHAPE: Final = re.compile(r"(phk_[0-9a-z]{12}_[0-9A-Za-z_-]{43})_([0-9a-f]{8})", re.ASCII)
SECRET_BYTES: Final = 32
SHORT_CHARS: Final = 12
FIND: Final = """
select api_key_id, scopes, expires_at from identity_api_key_secrets where digest = $1 and revoked_at is null
"""
NOTE_USES: Final = """
update identity_api_key_secrets as key set last_used_at = greatest(key.last_used_at, used.at)
from unnest($1::text[], $2::timestamptz[]) as used (api_key_id, at) where key.api_key_id = used.api_key_id
"""

_SCOPES: Final = frozenset(Scope)

Lending = Callable[[], AbstractAsyncContextManager[Pool]]
"""Lends the pool of the process for one read; it raises what its API answers with 503 when Postgres is away."""


def written(api_key_id: str, secret: bytes) -> str:
    """The key with this id and secret. The id's last characters tell people which key it is, wherever one is found; the
    checksum lets a typing error be refused without a look-up."""
    body = f"{PREFIX}{_short(api_key_id)}_{urlsafe_b64encode(secret).decode().rstrip('=')}"
    return f"{body}_{_checksum(body)}"


def digest_of(key: str) -> bytes:
    """How a key is stored."""
    return hashlib.sha256(key.encode()).digest()


def _short(api_key_id: str) -> str:
    return api_key_id[-SHORT_CHARS:]


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"


class _Found(NamedTuple):
    """What a look-up said. `principal`: None for a key that is not taken. `asked_at_s`: monotonic."""

    principal: Principal | None
    expires_at: datetime | None
    asked_at_s: float


class ApiKeys:
    """The keys that a process has met."""

    def __init__(
        self, lending: Lending, settings: Settings, clock: Clock = utc_now, elapsed_s: Callable[[], float] = monotonic_s
    ) -> None:
        self._lending = lending
        self._kept_s = settings.api_key_kept_s
        self._interval_s = settings.api_key_used_interval_s
        self._timeout_s = settings.query_timeout_s
        self._clock = clock
        self._elapsed_s = elapsed_s
        # Apart, so that who tries made-up keys cannot push out those that are in use.
        self._taken: LRUCache[bytes, _Found] = LRUCache(settings.api_keys_kept)
        self._refused: LRUCache[bytes, _Found] = LRUCache(settings.api_keys_kept)
        self._used: LRUCache[str, datetime] = LRUCache(settings.api_keys_kept)

    async def principal(self, key: str) -> Principal:
        """Whom a key speaks for. Raises BadToken, and what `lending` raises while Postgres is away."""
        shape = SHAPE.fullmatch(key)
        if shape is None or _checksum(shape[1]) != shape[2]:
            raise BadToken("this is no API key; it may have been cut off or mistyped")
        found = await self._found(digest_of(key))
        if found.principal is None:
            raise BadToken("the API key was revoked, or never issued")
        now = self._clock()
        if found.expires_at is not None and found.expires_at <= now:
            raise BadToken("the API key has expired")
        self._used[found.principal.subject.removeprefix(SUBJECT)] = now
        return found.principal

    @contextlib.asynccontextmanager
    async def noted(self) -> AsyncIterator[None]:
        """Write down meanwhile when keys were used, once in settings.api_key_used_interval_s and at the end."""
        try:
            async with beside(self._note_now_and_then()):
                yield
        finally:
            await self.note_uses()

    async def note_uses(self) -> None:
        """Write down when keys were used; what fails is written the next time."""
        used = dict(self._used)
        if not used:
            return
        try:
            async with asyncio.timeout(self._timeout_s), self._lending() as pool:
                await pool.execute(NOTE_USES, list(used), list(used.values()))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, Refusal) as error:
            log.warning("uses of API keys cannot be written now", keys=len(used), error=repr(error))
            return
        for api_key_id, at in used.items():
            if self._used.get(api_key_id) == at:
                del self._used[api_key_id]

    async def _note_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await self.note_uses()

    async def _found(self, digest: bytes) -> _Found:
        known = self._taken.get(digest) or self._refused.get(digest)
        now_s = self._elapsed_s()
        if known is not None and now_s - known.asked_at_s < self._kept_s:
            return known
        async with asyncio.timeout(self._timeout_s), self._lending() as pool:
            row = await pool.fetchrow(FIND, digest)
        found = _Found(_principal(row), row["expires_at"], now_s) if row else _Found(None, None, now_s)
        kept, other = (self._taken, self._refused) if row else (self._refused, self._taken)
        kept[digest] = found
        other.pop(digest, None)
        return found


def _principal(row: asyncpg.Record) -> Principal:
    scopes = frozenset(Scope(scope) for scope in row["scopes"] if scope in _SCOPES)
    return Principal(subject=SUBJECT + row["api_key_id"], scopes=scopes)
