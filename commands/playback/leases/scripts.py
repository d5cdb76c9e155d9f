"""Runs Lua in Redis: what many requests ask in the same moment goes as one pipeline."""

import asyncio
from hashlib import sha1
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from prometheus_client import Counter
from redis.exceptions import NoScriptError, RedisError

from infra.redis import Redis, round_trip
from infra.settings import Settings
from infra.telemetry import log

LUA: Final = Path(__file__).parent.parent / "lua"
CODE_CHARS: Final = 24
FAILED_OPEN = Counter("playhead_leases_failed_open_total", "Lease steps that went on without Redis")

Reply: TypeAlias = "int | bytes | list[Reply]"
Answer: TypeAlias = "Reply | None"
Replied: TypeAlias = "Reply | RedisError"
Argument: TypeAlias = int | str | bytes


class Script(NamedTuple):
    """Lua, and the name that Redis knows it by once it is loaded."""

    text: str
    sha: str


class _Call(NamedTuple):
    script: Script
    keys: tuple[str, ...]
    arguments: tuple[Argument, ...]
    done: asyncio.Future[Answer]


def script_of(name: str, settings: Settings) -> Script:
    """The script in lua/<name>.lua, with what settings say and what all of them share before it."""
    constants = {
        "LEASE_MS": settings.lease_s * 1000,
        "PAUSED_SLOT_MS": settings.paused_slot_s * 1000,
        "TTL_MS": (settings.playback_token_ttl_s + settings.lease_s) * 1000,
        "KEPT": settings.leases_per_account_max,
        "SEQS": settings.seqs_remembered_max,
        "CODE_CHARS": CODE_CHARS,
    }
    head = "".join(f"local {name} = {value}\n" for name, value in constants.items())
    text = head + (LUA / "records.lua").read_text() + (LUA / f"{name}.lua").read_text()
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


class Scripts:
    """A client, which is not timed, and the calls that wait for the next pipeline. After Redis failed it is left alone
    for a while, in which every call ends at once.
    """

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._pipeline_max = settings.redis_pipeline_max_reads
        self._timeout_s = settings.lease_timeout_s
        self._pause_s = settings.lease_retry_s
        self._lease_s = settings.lease_s
        self._failed_at_s: float | None = None
        self._waiting: list[_Call] = []
        self._flushing: asyncio.Task[None] | None = None

    @property
    def was_away(self) -> bool:
        """Whether Redis failed within the last lease."""
        return self._failed_since(self._lease_s)

    def run(self, script: Script, keys: tuple[str, ...], *arguments: Argument) -> asyncio.Future[Answer]:
        """What a script replies, or None: Redis is away, or failed to run it."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Answer] = loop.create_future()
        if self._failed_since(self._pause_s):
            FAILED_OPEN.inc()
            done.set_result(None)
            return done
        self._waiting.append(_Call(script, keys, arguments, done))
        if self._flushing is None or self._flushing.done():
            self._flushing = loop.create_task(self._flush())
        return done

    def _failed_since(self, seconds: float) -> bool:
        return self._failed_at_s is not None and asyncio.get_running_loop().time() - self._failed_at_s < seconds

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._pipeline_max], self._waiting[self._pipeline_max :]
            for call, reply in zip(batch, await self._replies(batch), strict=True):
                if not call.done.done():
                    call.done.set_result(reply)

    async def _replies(self, batch: list[_Call]) -> list[Answer]:
        try:
            async with asyncio.timeout(self._timeout_s):
                replies = await self._send(batch)
                lost = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
                if lost:  # the first time, and after Redis was restarted
                    await self._load({batch[n].script for n in lost})
                    for n, reply in zip(lost, await self._send([batch[n] for n in lost]), strict=True):
                        replies[n] = reply
        except (RedisError, OSError) as error:
            self._failed_at_s = asyncio.get_running_loop().time()
            _failed_open(error, len(batch))
            return [None] * len(batch)
        failed = [reply for reply in replies if isinstance(reply, RedisError)]
        if failed:
            _failed_open(failed[0], len(failed))
        return [None if isinstance(reply, RedisError) else reply for reply in replies]

    async def _send(self, batch: list[_Call]) -> list[Replied]:
        return await round_trip(self._redis, [_command(call) for call in batch], timeout_s=None)

    async def _load(self, scripts: set[Script]) -> None:
        for script in scripts:
            await self._redis.script_load(script.text)


def _command(call: _Call) -> tuple[Argument, ...]:
    return ("EVALSHA", call.script.sha, len(call.keys), *call.keys, *call.arguments)


def _failed_open(error: Exception, count: int) -> None:
    FAILED_OPEN.inc(count)
    log.warning("lease_failed_open", reason=str(error) or type(error).__name__, leases=count)
