"""Tells the other processes through Redis what this one admitted, and learns what they did, beside the requests.

No request waits for Redis: until the next round, a process does not know what the others admitted since the last one,
so together they may admit that much more. While Redis is away each limits by what it knows itself.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import redis.exceptions
from prometheus_client import Counter

from infra import redis as redis_client
from infra.background import beside
from infra.http.rate_limits import Key, Limiter, Sent
from infra.redis import Redis
from infra.settings import Settings
from infra.telemetry import log

UNSHARED: Final = Counter("playhead_rate_limits_unshared_total", "Rounds in which Redis did not take the counts")
FAILURES: Final = (OSError, TimeoutError, redis.exceptions.RedisError)
DIGEST_BYTES: Final = 16


@asynccontextmanager
async def shared(limiter: Limiter, settings: Settings, secret: Callable[[], bytes]) -> AsyncIterator[None]:
    """Share while an app runs. `secret`: what names are hashed with, the same in every process."""
    client = redis_client.connect(settings)
    try:
        async with beside(RateSharing(limiter, client, settings, secret).run()):
            yield
    finally:
        await client.aclose()


class RateSharing:
    """What one process tells and learns."""

    def __init__(self, limiter: Limiter, client: Redis, settings: Settings, secret: Callable[[], bytes]) -> None:
        self._limiter = limiter
        self._client = client
        self._interval_s = settings.rate_share_interval_s
        self._batch = settings.rate_share_batch_keys
        self._secret = secret
        self._is_away = False

    async def share(self) -> None:
        """One round."""
        untold = self._limiter.untold()
        try:
            for first in range(0, len(untold), self._batch):
                await self._tell(untold[first : first + self._batch])
        except FAILURES as error:
            UNSHARED.inc()
            if not self._is_away:
                log.warning("rate_limits_not_shared", error=repr(error))
            self._is_away = True
        else:
            self._is_away = False

    async def _tell(self, untold: Sent) -> None:
        pipeline = self._client.pipeline(transaction=False)
        secret = hashlib.sha256(b"rate limits" + self._secret()).digest()
        for key, number, admitted in untold:
            name = _name(key, number, secret)
            pipeline.incrby(name, admitted)
            pipeline.expire(name, 2 * key[0].window_s)
        totals = (await pipeline.execute())[::2]
        for (key, number, _), total in zip(untold, totals, strict=True):
            self._limiter.learn(key, number, int(total))

    async def run(self) -> None:
        """Round after round."""
        while True:
            await asyncio.sleep(self._interval_s)
            await self.share()


def _name(key: Key, number: int, secret: bytes) -> str:
    quota, who = key
    digest = hashlib.blake2b(who.encode(), key=secret, digest_size=DIGEST_BYTES).hexdigest()
    return f"rate:{quota.name}:{number}:{digest}"
