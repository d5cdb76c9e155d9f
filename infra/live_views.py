"""Which version of a view is live in a store that says so itself: Redis and Cassandra (ADR 21). Written by who swaps
versions, followed by whoever folds them or reads them; neither needs Postgres for it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

IN_REDIS: Final = "live_views:redis"
"""A hash: view -> a LiveView as JSON. A view that is not in it has its first version live."""
CHANGES: Final = ":changes"
"""In that hash: how often it was written."""
FIRST: Final = 1


class Keeper(StrEnum):
    """Who folds new events into a live version: the projection's workers; a rebuild; or, until every worker knows that
    it is theirs, both.
    """

    PROJECTION = "projection"
    BOTH = "both"
    REBUILD = "rebuild"


class LiveView(msgspec.Struct, frozen=True):
    """The live version of a view. `fold`: of which version of its fold the rows are."""

    version: int
    keeper: Keeper
    fold: int


_decoder = msgspec.json.Decoder(LiveView)
_encode = msgspec.json.Encoder().encode


def encoded(live: LiveView) -> bytes:
    """As Redis holds it."""
    return _encode(live)


def decoded_one(value: bytes) -> LiveView:
    """A value of the hash. Raises ValueError where somebody else wrote it."""
    return _decoder.decode(value)


def decoded(fields: Mapping[bytes, bytes]) -> dict[str, LiveView]:
    """By view, from the hash. Raises ValueError where somebody else wrote it."""
    return {field.decode(): decoded_one(value) for field, value in fields.items() if field != CHANGES.encode()}


def name_in_redis(view: str, version: int) -> str:
    """What the keys of a version's hashes begin with."""
    return view if version == FIRST else f"{view}@{version}"


def table_in_cassandra(view: str, version: int) -> str:
    """The table of a version."""
    return view if version == FIRST else f"{view}__v{version}"


def projection_of(store: str, view: str, version: int) -> str:
    """The projection as which a version has checkpoints of its own, while a rebuild keeps it."""
    return f"{store}/{view}@{version}"


def checkpoints_in_redis(projection: str) -> str:
    """The hash of a projection's checkpoints: "topic:partition" -> "next_offset:position"."""
    return f"projection_checkpoint:{projection}"
