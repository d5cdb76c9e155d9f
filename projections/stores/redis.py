"""Views in Redis or Valkey: hashes whose rows carry the offset that they were folded to, so that writing them again,
or late, changes nothing; the checkpoint moves after the rows, and only if what is live is still what they were folded
into (ADR 21).
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
import redis.exceptions
from redis.asyncio.client import Pipeline

from infra import live_views
from infra.redis import Redis, connect
from infra.settings import Settings
from projections.errors import RecordRefused, StoreEmptied, StoreUnavailable
from projections.folding import Keyed
from projections.slabs import Checkpoint, Partition, Taken
from projections.store import Checkpoints, Ready
from projections.stores import redis_live
from projections.stores.scripts import Script
from projections.times import milliseconds
from projections.versions.following import Following, FollowsLive, Live
from projections.views import HashView, Shelf

RedisView = HashView[Any]

NAME: Final = "redis"
CHECKPOINTS: Final = live_views.checkpoints_in_redis(NAME)
"""The projection's own. A rebuild has others."""
MOVED: Final = f"{CHECKPOINTS}:moved"
"""A hash: "topic:partition" -> when that checkpoint moved last, in ms. Beside the checkpoints and not in them, so that
releases that do not know of it read those as ever.
"""

_UNAVAILABLE: Final = (
    OSError,
    TimeoutError,
    redis.exceptions.ConnectionError,  # refused, reset, and while Redis loads its data
    redis.exceptions.TimeoutError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.ClusterError,
    redis.exceptions.MasterDownError,
    redis.exceptions.TryAgainError,
)

_encode = msgspec.json.Encoder().encode


@contextmanager
def told_apart() -> Iterator[None]:
    """Turns the client's errors into the engine's. What is neither is a fault of ours, and ends the process."""
    try:
        yield
    except _UNAVAILABLE as error:
        raise StoreUnavailable(repr(error)) from error


def hash_of(view: str, profile_id: str) -> str:
    """The hash of a profile. The braces make a cluster keep all that is a profile's on one node."""
    return f"{view}:{{{profile_id}}}"


class RedisStore:
    """The Redis projection, or a rebuild of one of its views."""

    def __init__(self, settings: Settings, views: Sequence[RedisView], following: Following | None = None) -> None:
        self._following = following or FollowsLive(NAME, views)
        self._checkpoints = live_views.checkpoints_in_redis(self.name)
        self._decoders = {view.name: msgspec.json.Decoder(view.row) for view in views}
        self._client: Redis = connect(settings)
        self._set_rows = Script("set_rows")
        self._swap_row = Script("swap_row")
        self._move = Script("move_checkpoints")

    @property
    def name(self) -> str:
        """See Store."""
        return self._following.name

    @property
    def missing(self) -> Mapping[str, str]:
        """See Store."""
        return self._following.missing

    async def open(self) -> None:
        """See whether it answers, give it the scripts, and have every view among those that are live."""
        with told_apart():
            await self.load_scripts()
            await redis_live.register(self._client, self._checkpoints, self._following.folds)
            live, _ = await redis_live.read(self._client)
            self._following.look(live)

    async def load_scripts(self) -> None:
        """Give Redis the scripts: a restart or SCRIPT FLUSH made it forget them."""
        for script in (self._set_rows, self._swap_row, self._move):
            script.sha = await self._client.script_load(script.source)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    @asynccontextmanager
    async def round(self) -> AsyncIterator["RedisRound"]:
        """A round."""
        with told_apart():
            yield RedisRound(self)

    async def checkpoints(self, partitions: Collection[Partition]) -> Checkpoints:
        """The checkpoints that there are. Says to whoever keeps a view instead that somebody with this fold is here."""
        with told_apart():
            held, live, _ = await self._read(partitions)
            await redis_live.say(self._client, live, self._following.look(live))
        return held

    async def begin_round(self, partitions: Collection[Partition]) -> tuple[Checkpoints, bytes]:
        """The checkpoints that there are, once what is live is known; and how often that changed."""
        held, live, changes = await self._read(partitions)
        self._following.agree(live)
        return held, changes

    async def _read(self, partitions: Collection[Partition]) -> tuple[Checkpoints, Live, bytes]:
        """The checkpoints, and what is live as of then, in one round trip."""
        pipeline = self._client.pipeline(transaction=False)
        if partitions:
            pipeline.hmget(self._checkpoints, [_field(partition) for partition in partitions])
        pipeline.hgetall(live_views.IN_REDIS)
        *read, fields = await pipeline.execute()
        held = zip(partitions, read[0] if read else (), strict=True)
        return {each: _parsed(value) for each, value in held if value is not None}, *redis_live.parsed(fields)

    async def begin(self, checkpoints: Checkpoints) -> None:
        """Set checkpoints. One that another worker moved meanwhile is set back: its records are read once more."""
        with told_apart():
            await redis_live.register(self._client, self._checkpoints, self._following.folds)
            await self._client.hset(self._checkpoints, mapping={_field(p): _text(c) for p, c in checkpoints.items()})

    def skips(self, view: RedisView) -> bool:
        """Whether somebody else keeps a view."""
        return self._following.skips(view.name)

    def _hash_of(self, view: RedisView, profile_id: str) -> str:
        return hash_of(live_views.name_in_redis(view.name, self._following.version(view.name)), profile_id)

    async def load(self, view: RedisView, keys: Collection[Shelf], guarded: Collection[Partition]) -> "Loaded":
        """Rows and the offsets that they were folded to, in one pipeline.

        The checkpoints are asked for last: if they are there, Redis was not emptied before the rows were read, and a
        row that is missing was never written. Raises StoreEmptied.
        """
        fields: dict[str, list[Shelf]] = {}
        for key in keys:
            fields.setdefault(self._hash_of(view, key.profile_id), []).append(key)
        pipeline = self._client.pipeline(transaction=False)
        for name, shelves in fields.items():
            pipeline.hmget(name, [shelf.field for shelf in shelves])
        pipeline.hmget(self._checkpoints, [_field(partition) for partition in guarded])
        *replies, checkpoints = await self._run(view.name, pipeline)
        if None in checkpoints:
            raise StoreEmptied(self._checkpoints)
        loaded = Loaded({}, {}, {})
        for shelves, values in zip(fields.values(), replies, strict=True):
            for shelf, value in zip(shelves, values, strict=True):
                if value is not None:
                    offset, _, row = value.split(b":", 2)
                    loaded.rows[shelf] = self._decoders[view.name].decode(row)
                    loaded.folded_to[shelf], loaded.values[shelf] = int(offset), value
        return loaded

    async def save(self, view: RedisView, rows: dict[Shelf, tuple[msgspec.Struct, int]]) -> int:
        """Set rows, in one pipeline, a profile at a time."""
        changes: dict[str, list[bytes | str | int]] = {}
        for shelf, (row, offset) in rows.items():
            value = _value_of(view, row, offset)
            changes.setdefault(self._hash_of(view, shelf.profile_id), []).extend((shelf.field, offset, value))

        if not changes:
            return 0

        def pipeline() -> Pipeline:
            filled = self._client.pipeline(transaction=False)
            for name, change in changes.items():
                filled.evalsha(self._set_rows.sha, 1, name, view.ttl_s, view.most_rows, int(view.rows_pass), *change)
            return filled

        try:
            await self._run(view.name, pipeline())
        except redis.exceptions.NoScriptError:
            await self.load_scripts()
            await self._run(view.name, pipeline())
        return len(rows)

    async def swap(
        self, view: RedisView, rows: dict[Shelf, tuple[msgspec.Struct, int]], held: Mapping[Shelf, bytes]
    ) -> None:
        """Set rows that another worker may write to: each only if it is still what it was. Raises StoreUnavailable."""
        for shelf, (row, offset) in rows.items():
            values = (shelf.field, held.get(shelf, b""), _value_of(view, row, offset), view.ttl_s)
            pipeline = self._client.pipeline(transaction=False)
            pipeline.evalsha(self._swap_row.sha, 1, self._hash_of(view, shelf.profile_id), *values)
            try:
                [swapped] = await self._run(view.name, pipeline)
            except redis.exceptions.NoScriptError as error:
                await self.load_scripts()
                raise StoreUnavailable("Redis had forgotten its scripts") from error
            if not swapped:
                raise StoreUnavailable(f"{view.name}: a row was written while a dead letter was applied to it")

    async def move(self, before: Checkpoints, after: Checkpoints, changes: bytes) -> None:
        """Move checkpoints that are still what they were, once nobody holds them any more. Raises StoreEmptied, and
        StoreUnavailable where what is live changed meanwhile: the same records are to be folded into that.
        """
        moves = [text for p in after for text in (_field(p), _text(before[p]), _text(after[p]))]
        keys = [self._checkpoints, f"{self._checkpoints}:moved", live_views.IN_REDIS]
        if self.name == NAME:
            keys.append(redis_live.HOLD)
        while True:
            moved = await self._moved(*keys, changes, *moves, keys=len(keys))
            if moved != redis_live.HELD:
                break
            await asyncio.sleep(redis_live.HELD_PAUSE_S)
        if moved == redis_live.CHANGED:
            raise StoreUnavailable("another version of a view became live meanwhile")
        if not moved:
            raise StoreEmptied(self._checkpoints)

    async def _moved(self, *given: str | bytes, keys: int) -> Any:
        try:
            return await self._client.evalsha(self._move.sha, keys, *given)
        except redis.exceptions.NoScriptError:
            await self.load_scripts()
            return await self._client.evalsha(self._move.sha, keys, *given)

    async def _run(self, view: str, pipeline: Pipeline) -> list[Any]:
        """The replies. Raises RecordRefused for a hash that is something else."""
        try:
            return await pipeline.execute()
        except redis.exceptions.ResponseError as error:
            if "WRONGTYPE" in str(error):
                raise RecordRefused(view, str(error)) from error
            raise


class Loaded(NamedTuple):
    """Rows, the offsets that they were folded to, and the values that both were read from."""

    rows: dict[Shelf, msgspec.Struct]
    folded_to: dict[Shelf, int]
    values: dict[Shelf, bytes]


class RedisRound:
    """See Round."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._partitions: Collection[Partition] = ()
        self._changes = b""

    async def checkpoints(self, partitions: Collection[Partition]) -> Checkpoints:
        """Not locked: the rows refuse what is older than they are, and the checkpoint what it does not expect."""
        self._partitions = partitions
        held, self._changes = await self._store.begin_round(partitions)
        if len(held) < len(partitions):
            raise StoreEmptied(self._store.name)
        return held

    async def fold(self, view: RedisView, taken: Sequence[Taken]) -> Ready:
        """One pipeline for the rows."""
        if self._store.skips(view):
            return Ready([], nothing)
        keyed = Keyed(view, taken)
        loaded = await self._store.load(view, keyed.keys, self._partitions)
        folded = keyed.fold(loaded.rows, loaded.folded_to)
        changed = {shelf: (row, offset) for shelf, (row, offset) in folded.rows.items() if row is not None}
        again = {shelf: changed.pop(shelf) for shelf in keyed.keys_of_retries & changed.keys()}
        return Ready(folded.failed, partial(self._save, view, changed, again, loaded.values))

    async def _save(
        self,
        view: RedisView,
        changed: dict[Shelf, tuple[msgspec.Struct, int]],
        again: dict[Shelf, tuple[msgspec.Struct, int]],
        held: Mapping[Shelf, bytes],
    ) -> int:
        """The rows of new records, and those that only records that are tried again have changed."""
        await self._store.swap(view, again, held)
        return await self._store.save(view, changed) + len(again)

    async def move(self, before: Checkpoints, after: Checkpoints) -> None:
        """Move the checkpoints, if nobody else has."""
        await self._store.move(before, after, self._changes)


async def nothing() -> int:
    """Writes no rows."""
    return 0


def _value_of(view: RedisView, row: msgspec.Struct, offset: int) -> bytes:
    return b"%d:%d:%b" % (offset, milliseconds(view.updated_at(row)), _encode(row))


def _field(partition: Partition) -> str:
    return f"{partition.topic}:{partition.partition}"


def _text(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.next_offset}:{checkpoint.position}"


def _parsed(value: bytes) -> Checkpoint:
    next_offset, _, position = value.partition(b":")
    return Checkpoint(int(next_offset), int(position))
