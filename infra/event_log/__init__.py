"""The event log in Postgres: where handle contexts decide. Positions are gapless and hash-chained in each partition.

One transaction a command, in an order that keeps readers from skipping: the streams' advisory locks, the idempotency
row, load and decide, then append_events(), which takes the partition head's lock last and holds it to commit
(migrations 0001, 0004).
"""

from infra.event_log.idempotency import HandledMeanwhile, Idempotency, IdempotencyKeyReused
from infra.event_log.log import EventLog, LogRow, Opened
from infra.event_log.partitions import GENESIS, WrongPartitionCount, create_partitions, partition_of
from infra.event_log.streams import Stream

__all__ = [
    "GENESIS",
    "EventLog",
    "HandledMeanwhile",
    "Idempotency",
    "IdempotencyKeyReused",
    "LogRow",
    "Opened",
    "Stream",
    "WrongPartitionCount",
    "create_partitions",
    "partition_of",
]
