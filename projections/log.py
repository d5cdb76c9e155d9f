"""What a projector asks of Kafka: the consumer answers (projections/consumer.py), and a fake in tests."""

from collections.abc import Collection, Mapping
from typing import Protocol

from projections.slabs import Partition


class Log(Protocol):
    """Kafka, as the consumer group member sees it. Raises StoreUnavailable where Kafka does not answer."""

    def assigned(self) -> set[Partition]:
        """The partitions that are ours now."""

    async def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """The first offset that Kafka holds of each, and the one after the last."""

    async def place(self, offsets: Mapping[Partition, int], epoch: int) -> None:
        """Go on at these offsets; slabs read from there carry the epoch."""

    def highwater(self, partition: Partition) -> int | None:
        """The offset after the last record, as of the last fetch."""

    async def mirror(self, offsets: Mapping[Partition, int]) -> None:
        """Commit offsets to Kafka, for tools that show lag; quietly nothing while the group rebalances."""
