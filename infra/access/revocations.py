"""Sign-ins that ended and devices that were removed before their tokens ran out: what both APIs refuse.

The projection identity_revoked keeps them in the Redis hash identity_revoked:{all}, fields "sign_in:<id>" and
"device:<id>", for as long as a token may name them. A process polls it, and goes on with what it knows while Redis is
away.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, NamedTuple, Protocol

from prometheus_client import Counter, Gauge
from redis.exceptions import RedisError

from infra import live_views
from infra.background import beside
from infra.clock import Clock, monotonic_s, utc_now
from infra.redis import Redis, connect
from infra.settings import Settings
from infra.telemetry import log

VIEW: Final = "identity_revoked"
KEY: Final = f"{VIEW}:{{all}}"
CHECKPOINTS: Final = "projection_checkpoint:redis"
TOPIC: Final = "identity.events"
SIGN_IN: Final = "sign_in:"
DEVICE: Final = "device:"
SCAN_ROWS: Final = 1_000
LOG_INTERVAL_S: Final = 1.0
FAILED_OPEN = Counter("playhead_revocations_failed_open_total", "Polls of ended sign-ins that Redis did not answer")
KNOWN = Gauge("playhead_revocations_known", "Ended sign-ins and removed devices that this process refuses")


class Ended(Protocol):
    """Tells what has ended."""

    def has_sign_in(self, sign_in_id: str) -> bool:
        """Whether a sign-in has ended."""

    def has_device(self, device_id: str) -> bool:
        """Whether a device was removed."""


class _Seen(NamedTuple):
    """What tells that the hash has changed: its name, its length, or how far its projection is."""

    key: str
    rows: int
    checkpoints: tuple[bytes | None, ...]


class Revocations:
    """The set that a process knows, as Ended. What was read once is kept until it may go, even if Redis loses it."""

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        self._settings = settings
        self._clock = clock
        self._known: dict[str, int] = {}  # field: when it may go, epoch ms
        self._seen: _Seen | None = None
        self._key = KEY
        self._logged_at_s = float("-inf")

    def has_sign_in(self, sign_in_id: str) -> bool:
        """Whether a sign-in has ended."""
        return SIGN_IN + sign_in_id in self._known

    def has_device(self, device_id: str) -> bool:
        """Whether a device was removed."""
        return DEVICE + device_id in self._known

    @contextlib.asynccontextmanager
    async def polled(self) -> AsyncIterator[None]:
        """Keep the set up to date meanwhile; it has been asked for once when this begins."""
        client = connect(self._settings)
        try:
            await self.poll(client)
            async with beside(self._run(client)):
                yield
        finally:
            await client.aclose()

    async def poll(self, client: Redis) -> None:
        """Look once. Nothing is read unless something changed."""
        try:
            async with asyncio.timeout(self._settings.query_timeout_s):
                seen = await self._look(client)
                if seen != self._seen:
                    self._take(await _read(client, seen))
                    self._seen = seen
        except (RedisError, OSError, ValueError, IndexError) as error:  # the latter: a hash that somebody else wrote
            FAILED_OPEN.inc()
            if monotonic_s() - self._logged_at_s >= LOG_INTERVAL_S:
                self._logged_at_s = monotonic_s()
                log.warning("ended sign-ins cannot be read; going on with those known", error=repr(error))

    async def _run(self, client: Redis) -> None:
        while True:
            await asyncio.sleep(self._settings.revocations_poll_s)
            await self.poll(client)

    async def _look(self, client: Redis) -> _Seen:
        """What is there of the version that is live (ADR 21)."""
        pipeline = client.pipeline(transaction=False)
        pipeline.hlen(self._key)
        fields = [f"{TOPIC}:{partition}" for partition in range(self._settings.log_partitions)]
        pipeline.hmget(CHECKPOINTS, fields)
        pipeline.hget(live_views.IN_REDIS, VIEW)
        rows, checkpoints, live = await pipeline.execute()
        key = KEY if live is None else f"{live_views.name_in_redis(VIEW, live_views.decoded_one(live).version)}:{{all}}"
        if key != self._key:
            self._key = key
            return await self._look(client)
        return _Seen(key, rows, tuple(checkpoints))

    def _take(self, read: dict[str, int]) -> None:
        now_ms = self._clock().timestamp() * 1000
        lasting = {field: until_ms for field, until_ms in self._known.items() if until_ms > now_ms}
        known = {**lasting, **read}
        surplus = len(known) - self._settings.revocations_max
        for field in sorted(known, key=known.__getitem__)[: max(0, surplus)]:
            del known[field]
        self._known = known
        KNOWN.set(len(known))


async def _read(client: Redis, seen: _Seen) -> dict[str, int]:
    """The hash: at once, or when it is long a piece at a time, so that nobody else waits for Redis."""
    if seen.rows <= SCAN_ROWS:
        return dict(_parsed(field, value) for field, value in (await client.hgetall(seen.key)).items())
    return dict([_parsed(field, value) async for field, value in client.hscan_iter(seen.key, count=SCAN_ROWS)])


def _parsed(field: bytes | str, value: bytes | str) -> tuple[str, int]:
    """Of a value "<offset>:<until_ms>:<row>"."""
    return _text(field), int(_text(value).split(":", 2)[1])


def _text(given: bytes | str) -> str:
    return given if isinstance(given, str) else given.decode()
