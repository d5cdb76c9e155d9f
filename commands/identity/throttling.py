"""Counts failed attempts, so that nobody guesses passwords and nobody locks others out: in Redis for all processes, and
in this one while Redis is away.

An attempt takes a place in each of its limits before it is made, so that attempts at the same time count too, and gives
them back unless it failed.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from cachetools import LRUCache
from prometheus_client import Counter
from redis.exceptions import RedisError

from commands.identity.refusals import CredentialsWrong, PasswordWrong, PinWrong, TooManyAttempts
from infra.clock import Clock, utc_now
from infra.personal_data import MasterKey
from infra.redis import Redis
from infra.settings import Settings
from infra.telemetry import log

FAILURES: Final = (CredentialsWrong, PasswordWrong, PinWrong)
"""What makes an attempt count."""
REFUSED = Counter("playhead_attempts_refused_total", "Attempts that came too often", ["kind"])
UNSHARED = Counter("playhead_attempts_unshared_total", "Attempts counted in one process, Redis being away")

TAKE: Final = """
local taken = tonumber(redis.call('get', KEYS[1]) or '0')
if taken >= tonumber(ARGV[1]) then return math.max(redis.call('pttl', KEYS[1]), 1) end
if redis.call('incr', KEYS[1]) == 1 then redis.call('pexpire', KEYS[1], ARGV[2]) end
return 0
"""
"""0 for a place that was taken; else the milliseconds until there is one."""
GIVE_BACK: Final = "if tonumber(redis.call('get', KEYS[1]) or '0') > 0 then redis.call('decr', KEYS[1]) end return 0"

TAKEN: Final = "return tonumber(redis.call('get', KEYS[1]) or '0')"
FORGET: Final = "return redis.call('del', KEYS[1])"


class Limit(NamedTuple):
    """At most `most` failures of one `kind`, by or of `whom`, in a window."""

    kind: str
    whom: str
    most: int
    window_s: int


class Throttle:
    """The counters of an installation. What is counted shows in no key."""

    def __init__(self, redis: Redis, master: MasterKey, settings: Settings, clock: Clock = utc_now) -> None:
        self._redis = redis
        self._master = master
        self._clock = clock
        self._local: LRUCache[str, tuple[int, float]] = LRUCache(settings.throttle_entries_max)

    @asynccontextmanager
    async def attempt(self, *limits: Limit) -> AsyncIterator[None]:
        """Around what is tried: one of FAILURES counts, and so does a caller who goes away before the end. Raises
        TooManyAttempts.
        """
        await self.take(*limits)
        try:
            yield
        except FAILURES:
            raise
        except Exception:
            await self.give_back(*limits)
            raise
        await self.give_back(*limits)

    async def take(self, *limits: Limit) -> None:
        """Take a place in each, or in none. Raises TooManyAttempts."""
        waits_ms = await self._run(TAKE, limits)
        refused = [index for index, wait_ms in enumerate(waits_ms) if wait_ms]
        if not refused:
            return
        await self.give_back(*(limit for index, limit in enumerate(limits) if index not in refused))
        REFUSED.labels(limits[refused[0]].kind).inc()
        retry_after_s = -(-max(waits_ms) // 1000)
        raise TooManyAttempts(
            f"too many attempts failed; try again in {retry_after_s} s",
            headers={"Retry-After": str(retry_after_s)},
        )

    async def give_back(self, *limits: Limit) -> None:
        """Give back the place that was taken in each."""
        await self._run(GIVE_BACK, limits)

    async def left(self, *limits: Limit) -> int:
        """How many places are left in the fullest."""
        taken = await self._run(TAKEN, limits)
        return max(0, min(limit.most - places for limit, places in zip(limits, taken, strict=True)))

    async def forget(self, *limits: Limit) -> None:
        """Count nothing any more of what was counted in each."""
        await self._run(FORGET, limits)

    async def aclose(self) -> None:
        """Leave Redis."""
        await self._redis.aclose()

    async def _run(self, script: str, limits: Sequence[Limit]) -> list[int]:
        if not limits:
            return []
        keys = [self._key(limit) for limit in limits]
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for key, limit in zip(keys, limits, strict=True):
                    pipeline.eval(script, 1, key, str(limit.most), str(limit.window_s * 1000))
                replies: list[Any] = await pipeline.execute()
            return [int(reply) for reply in replies]
        except (RedisError, OSError, TimeoutError) as error:
            UNSHARED.inc()
            log.warning("attempts_counted_locally", reason=type(error).__name__)
        counted = {
            TAKE: self._take_locally,
            GIVE_BACK: self._give_back_locally,
            FORGET: self._forget_locally,
            TAKEN: self._taken_locally,
        }[script]
        return [counted(key, limit) for key, limit in zip(keys, limits, strict=True)]

    def _key(self, limit: Limit) -> str:
        digest = self._master.digest(f"attempts\n{limit.kind}\n{limit.whom}")
        return f"identity_attempts:{digest[:16].hex()}"

    def _take_locally(self, key: str, limit: Limit) -> int:
        now = self._clock().timestamp()
        taken, until = self._local.get(key, (0, 0.0))
        if until <= now:
            taken, until = 0, now + limit.window_s
        if taken >= limit.most:
            return max(1, round((until - now) * 1000))
        self._local[key] = (taken + 1, until)
        return 0

    def _taken_locally(self, key: str, _: Limit) -> int:
        taken, until = self._local.get(key, (0, 0.0))
        return taken if until > self._clock().timestamp() else 0

    def _forget_locally(self, key: str, _: Limit) -> int:
        self._local.pop(key, None)
        return 0

    def _give_back_locally(self, key: str, _: Limit) -> int:
        taken, until = self._local.get(key, (0, 0.0))
        if taken > 0:
            self._local[key] = (taken - 1, until)
        return 0
