"""Who reads which topic, by their consumer groups, in which they tell Kafka how far they have applied it: nothing is
removed from Kafka that one of them has not.

tests/architecture/test_readers.py checks that the projections are as said here; this process does not import them.
"""

from collections.abc import Mapping
from typing import Final

from events.topics import BACKFILL, DEAD_LETTERS, OPERATIONS, PLAYBACK, TOPICS
from infra.kafka import CLIENT_ID

EVENTS: Final = tuple(topic.name for topic in TOPICS)
LETTERS: Final = tuple(topic.name for topic in DEAD_LETTERS)
READ_BY: Final[Mapping[str, tuple[str, ...]]] = {
    f"{CLIENT_ID}-projections-postgres": (*EVENTS, *LETTERS),
    f"{CLIENT_ID}-projections-cassandra": (OPERATIONS.name, PLAYBACK.name),
    f"{CLIENT_ID}-projections-redis": EVENTS,
    f"{CLIENT_ID}-backfill": (BACKFILL.name,),
}
"""By group, the topics."""


def groups_of(topic: str) -> list[str]:
    """The groups that read a topic."""
    return [group for group, topics in READ_BY.items() if topic in topics]
