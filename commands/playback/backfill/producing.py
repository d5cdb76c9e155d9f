"""Has Kafka acknowledge the events of many keys at once: those of a key in order; what it does not take is told."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from infra.positions import Position
from infra.publisher import Unpublished

Keyed = Mapping[str, Sequence[bytes]]
"""Events by their key."""


class Publisher(Protocol):
    """What has Kafka acknowledge events of one key: infra/publisher.py."""

    async def publish(self, topic: str, key: str, bodies: Sequence[bytes]) -> Position:
        """The position of the last. Raises Unpublished."""


async def produce(publisher: Publisher, topic: str, events: Keyed) -> Keyed:
    """What Kafka did not acknowledge; of a key all or nothing, so that producing it again keeps the order."""
    keys = list(events)
    ended = await asyncio.gather(*(publisher.publish(topic, key, events[key]) for key in keys), return_exceptions=True)
    left = {}
    for key, how in zip(keys, ended, strict=True):
        if isinstance(how, Unpublished):
            left[key] = events[key]
        elif isinstance(how, BaseException):
            raise how
    return left
