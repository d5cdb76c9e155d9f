"""The Kafka topics: one a context, a dead-letter topic beside each, and the one where backfills wait."""

from enum import StrEnum

import msgspec


class Lane(StrEnum):
    """How events reach a topic. LOG: relayed from the event log, one Kafka partition for each of the log's, each
    record's place in the log in its position header. DIRECT: produced by the route, which Kafka's offset numbers."""

    LOG = "log"
    DIRECT = "direct"


class Topic(msgspec.Struct, frozen=True):
    """A topic. `retention_days`: how long Kafka keeps its records once they are archived; None keeps them for good."""

    name: str
    lane: Lane
    retention_days: int | None = None


def dead_letters_of(topic: str) -> str:
    """The dead-letter topic of a topic."""
    return f"{topic}.dlq"


CATALOG = Topic("catalog.events", Lane.LOG)
IDENTITY = Topic("identity.events", Lane.LOG)
OPERATIONS = Topic("operations.events", Lane.LOG)
PLAYBACK = Topic("playback.events", Lane.DIRECT)
SUBSCRIPTION = Topic("subscription.events", Lane.LOG)

CONTEXTS = {
    "catalog": CATALOG,
    "identity": IDENTITY,
    "operations": OPERATIONS,
    "playback": PLAYBACK,
    "subscription": SUBSCRIPTION,
}
TOPICS = tuple(CONTEXTS.values())

BACKFILL = Topic("playback.backfill", Lane.DIRECT)
"""Playback's events of the past, until `playhead backfill` moves them to PLAYBACK, record by record: no view reads them
here. Kept for settings.backfill_retention_days.
"""

DEAD_LETTERS = tuple(
    Topic(dead_letters_of(topic.name), Lane.DIRECT, retention_days=90) for topic in (*TOPICS, BACKFILL)
)

POSITION_HEADER = "playhead-position"
"""Kafka header of a relayed record: its position in its event log partition, in decimal."""

REPLAY_HEADER = "playhead-replay"
"""Kafka header, and HTTP header, of what is sent again: the replay's id. No view takes a record that has it."""


def topic_of(type_name: str) -> Topic:
    """The topic that events of this type go to. Raises KeyError for a context without one."""
    return CONTEXTS[type_name.partition(".")[0]]
