"""Views in Redis or Valkey: hashes whose rows carry the offset that they were folded to, so that writing them again,
or late, changes nothing; the checkpoint moves after the rows.
"""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import msgspec
import redis.exceptions
from redis.asyncio.client import Pipeline

from infra.redis import Redis, connect
from infra.settings import Settings
from projections.errors import RecordRefused, StoreEmptied, StoreUnavailable
from projections.folding import Keyed
from projections.slabs import Checkpoint, Partition, Taken
from projections.store import Checkpoints, Ready
from projections.times import milliseconds
from projections.views import HashView, Shelf

RedisView = HashView[Any]

CHECKPOINTS: Final = "projection_checkpoint:redis"
"""A hash: "topic:partition" -> "next_offset:position"."""
MOVED: Final = f"{CHECKPOINTS}:moved"
"""A hash: "topic:partition" -> when that checkpoint moved last, in ms. Beside the checkpoints and not in them, so that
releases that do not know of it read those as ever.
"""

_LUA: Final = Path(__file__).parent.parent / "lua"

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
def _told_apart() -> Iterator[None]:
    """Turns the client's errors into the engine's. What is neither is a fault of ours, and ends the process."""
    try:
        yield
    except _UNAVAILABLE as error:
        raise StoreUnavailable(repr(error)) from error


def hash_of(view: str, profile_id: str) -> str:
    """The hash of a profile. The braces make a cluster keep all that is a profile's on one node."""
    return f"{view}:{{{profile_id}}}"


class RedisStore:
    """The Redis projection."""

    name = "redis"
    missing: ClassVar[Mapping[str, str]] = {}

    def __init__(self, settings: Settings, views: Sequence[RedisView]) -> None:
        self._decoders = {view.name: msgspec.json.Decoder(view.row) for view in views}
        self._client: Redis = connect(settings)
        self._set_rows = _Script("set_rows")
        self._swap_row = _Script("swap_row")
        self._move = _Script("move_checkpoints")

    async def open(self) -> None:
        """See whether it answers, and give it the scripts."""
        with _told_apart():
            await self.load_scripts()

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
        with _told_apart():
            yield RedisRound(self)

    async def checkpoints(self, partitions: Collection[Partition]) -> Checkpoints:
        """The checkpoints that there are."""
        if not partitions:
            return {}
        with _told_apart():
            held = await self._client.hmget(CHECKPOINTS, [_field(partition) for partition in partitions])
        return {
            partition: _parsed(value)
            for partition, value in zip(partitions, held, strict=True)
            if isinstance(value, bytes)
        }

    async def begin(self, checkpoints: Checkpoints) -> None:
        """Set checkpoints. One that another worker moved meanwhile is set back: its records are read once more."""
        with _told_apart():
            await self._client.hset(CHECKPOINTS, mapping={_field(p): _text(c) for p, c in checkpoints.items()})

    async def load(self, view: RedisView, keys: Collection[Shelf], guarded: Collection[Partition]) -> "Loaded":
        """Rows and the offsets that they were folded to, in one pipeline.

        The checkpoints are asked for last: if they are there, Redis was not emptied before the rows were read, and a
        row that is missing was never written. Raises StoreEmptied.
        """
        fields: dict[str, list[Shelf]] = {}
        for key in keys:
            fields.setdefault(hash_of(view.name, key.profile_id), []).append(key)
        pipeline = self._client.pipeline(transaction=False)
        for name, shelves in fields.items():
            pipeline.hmget(name, [shelf.field for shelf in shelves])
        pipeline.hmget(CHECKPOINTS, [_field(partition) for partition in guarded])
        *replies, checkpoints = await self._run(view.name, pipeline)
        if None in checkpoints:
            raise StoreEmptied(CHECKPOINTS)
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
            changes.setdefault(hash_of(view.name, shelf.profile_id), []).extend((shelf.field, offset, value))

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
            pipeline.evalsha(self._swap_row.sha, 1, hash_of(view.name, shelf.profile_id), *values)
            try:
                [swapped] = await self._run(view.name, pipeline)
            except redis.exceptions.NoScriptError as error:
                await self.load_scripts()
                raise StoreUnavailable("Redis had forgotten its scripts") from error
            if not swapped:
                raise StoreUnavailable(f"{view.name}: a row was written while a dead letter was applied to it")

    async def move(self, before: Checkpoints, after: Checkpoints) -> None:
        """Move checkpoints that are still what they were. Raises StoreEmptied."""
        changes = [text for p in after for text in (_field(p), _text(before[p]), _text(after[p]))]
        try:
            moved = await self._client.evalsha(self._move.sha, 2, CHECKPOINTS, MOVED, *changes)
        except redis.exceptions.NoScriptError:
            await self.load_scripts()
            moved = await self._client.evalsha(self._move.sha, 2, CHECKPOINTS, MOVED, *changes)
        if not moved:
            raise StoreEmptied(CHECKPOINTS)

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

    async def checkpoints(self, partitions: Collection[Partition]) -> Checkpoints:
        """Not locked: the rows refuse what is older than they are, and the checkpoint what it does not expect."""
        self._partitions = partitions
        held = await self._store.checkpoints(partitions)
        if len(held) < len(partitions):
            raise StoreEmptied(CHECKPOINTS)
        return held

    async def fold(self, view: RedisView, taken: Sequence[Taken]) -> Ready:
        """One pipeline for the rows."""
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
        await self._store.move(before, after)


def _value_of(view: RedisView, row: msgspec.Struct, offset: int) -> bytes:
    return b"%d:%d:%b" % (offset, milliseconds(view.updated_at(row)), _encode(row))


class _Script:
    """A Lua function and the name that Redis gave it."""

    def __init__(self, name: str) -> None:
        self.source = (_LUA / f"{name}.lua").read_text()
        self.sha = ""


def _field(partition: Partition) -> str:
    return f"{partition.topic}:{partition.partition}"


def _text(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.next_offset}:{checkpoint.position}"


def _parsed(value: bytes) -> Checkpoint:
    next_offset, _, position = value.partition(b":")
    return Checkpoint(int(next_offset), int(position))
