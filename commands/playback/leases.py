"""A lease a session in Redis: started once, renewed by every report, ended by a stop. Redis's clock decides.

Redis away: reports and starts go on without leases (fail open, counted); Kafka is what must not lose anything.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Counter
from redis.exceptions import NoScriptError, RedisError

from events.types import ProfileId, SessionId
from infra.redis import Redis
from infra.settings import Settings
from infra.telemetry import log

LUA = Path(__file__).parent / "lua"
FAILED_OPEN = Counter("playhead_leases_failed_open_total", "Lease steps that went on without Redis")
CLAIMED = "claimed"


@dataclass
class _Renewal:
    session_id: SessionId
    profile_id: ProfileId
    done: asyncio.Future[int | None]


class Leases:
    """The leases of all sessions, by a client that is not timed. Renewals share a pipeline: they wait for each other as
    long as events do for the next batch to Kafka, which every report waits for anyway.
    """

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._lease_ms = settings.lease_s * 1000
        self._ttl_ms = settings.playback_token_ttl_s * 1000
        self._pipeline_max = settings.redis_pipeline_max_reads
        self._linger_s = settings.produce_linger_ms / 1000
        self._timeout_s = settings.query_timeout_s
        self._start = redis.register_script((LUA / "start.lua").read_text())
        self._renew = redis.register_script((LUA / "renew.lua").read_text())
        self._waiting: list[_Renewal] = []
        self._flushing: asyncio.Task[None] | None = None

    async def claim(self, session_id: SessionId, profile_id: ProfileId) -> str:
        """CLAIMED for a new session, else the state that it is in: "starting", "started" or "ended"."""
        try:
            async with asyncio.timeout(self._timeout_s):
                state = await self._start(keys=[_key(session_id)], args=[profile_id, self._lease_ms, self._ttl_ms])
        except (RedisError, OSError) as error:
            _failed_open(error, 1)
            return CLAIMED
        return state.decode() if isinstance(state, bytes) else str(state)

    async def confirm(self, session_id: SessionId) -> None:
        """Kafka has the start of a session that was claimed."""
        await self._set_state(session_id, "started")

    async def end(self, session_id: SessionId) -> None:
        """The viewer stopped: the lease is free."""
        await self._set_state(session_id, "ended")

    async def known(self, session_id: SessionId) -> bool:
        """Whether a session was started under this id and is not long gone."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return bool(await self._redis.exists(_key(session_id)))
        except (RedisError, OSError) as error:
            _failed_open(error, 1)
            return True

    def renew(self, session_id: SessionId, profile_id: ProfileId) -> asyncio.Future[int | None]:
        """When the renewed lease ends (epoch ms); 0 for a session that has ended, None when Redis is away."""
        renewal = _Renewal(session_id, profile_id, asyncio.get_running_loop().create_future())
        self._waiting.append(renewal)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return renewal.done

    async def _flush(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._linger_s)
            batch, self._waiting = self._waiting[: self._pipeline_max], self._waiting[self._pipeline_max :]
            for renewal, lease_until_ms in zip(batch, await self._renew_all(batch), strict=True):
                if not renewal.done.done():
                    renewal.done.set_result(lease_until_ms)

    async def _renew_all(self, batch: list[_Renewal]) -> list[int | None]:
        try:
            async with asyncio.timeout(self._timeout_s):
                replies = await self._load_and_run(batch)
        except (RedisError, OSError) as error:
            _failed_open(error, len(batch))
            return [None] * len(batch)
        return [int(reply) for reply in replies]

    async def _load_and_run(self, batch: list[_Renewal]) -> list[bytes]:
        try:
            return await self._run_renewals(batch)
        except NoScriptError:  # the first time, and after Redis was restarted
            await self._redis.script_load(self._renew.script)
            return await self._run_renewals(batch)

    async def _run_renewals(self, batch: list[_Renewal]) -> list[bytes]:
        # Not through the script object, which asks Redis before every pipeline whether it has the script.
        async with self._redis.pipeline(transaction=False) as pipeline:
            for renewal in batch:
                key, lease = _key(renewal.session_id), (renewal.profile_id, self._lease_ms, self._ttl_ms)
                pipeline.execute_command("EVALSHA", self._renew.sha, 1, key, *lease)
            replies: list[bytes] = await pipeline.execute()
            return replies

    async def _set_state(self, session_id: SessionId, state: str) -> None:
        try:
            async with asyncio.timeout(self._timeout_s), self._redis.pipeline(transaction=False) as pipeline:
                pipeline.hset(_key(session_id), "state", state)
                pipeline.pexpire(_key(session_id), self._ttl_ms)
                await pipeline.execute()
        except (RedisError, OSError) as error:
            _failed_open(error, 1)


def _key(session_id: SessionId) -> str:
    return f"playback_session:{{{session_id}}}"


def _failed_open(error: Exception, count: int) -> None:
    FAILED_OPEN.inc(count)
    log.warning("lease_failed_open", reason=str(error), leases=count)
