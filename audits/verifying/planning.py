"""What there is to verify: every partition of the log, of Kafka's topics and of the archive, and how large it is."""

from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from audits.verifying import checkpoints
from audits.verifying.findings import Store
from audits.verifying.keys import SigningKeys
from audits.verifying.of_kafka import LOG_TOPICS
from audits.verifying.tasks import Asked, Task
from events.topics import BACKFILL, DEAD_LETTERS, TOPICS
from infra.archive.layout import follows_of
from infra.archive.store import Archive
from infra.kafka import CLIENT_ID, access
from infra.postgres import Role, connect_pool
from infra.settings import Settings

TOPICS_OF_ALL: Final = tuple(topic.name for topic in (*TOPICS, BACKFILL, *DEAD_LETTERS))


async def plan(settings: Settings, asked: Asked) -> list[Task]:
    """The tasks, the largest first, so that processes end at about the same time. Raises what working.AWAY names."""
    tasks = list[Task]()
    if not asked.only or Store.LOG in asked.only:
        tasks += await _of_log(settings)
    if not asked.only or Store.KAFKA in asked.only:
        tasks += await _of_kafka(settings, asked)
    if not asked.only or Store.ARCHIVE in asked.only:
        tasks += _of_archive(settings, asked)
    wanted = [task for task in tasks if asked.wants(task)]
    if not asked.only or {Store.ARCHIVE, Store.CHECKPOINTS} & set(asked.only):
        wanted.append(Task(store=Store.CHECKPOINTS))
    return sorted(wanted, key=lambda task: (-task.total, task.name))


async def _of_log(settings: Settings) -> list[Task]:
    pool = await connect_pool(settings, role=Role.AUDITS, size=1)
    try:
        heads = await pool.fetch("select partition, position from partition_head order by partition")
    finally:
        await pool.close()
    each = [Task(store=Store.LOG, partition=head["partition"], total=head["position"]) for head in heads]
    return [*each, Task(store=Store.LOG)]


async def _of_kafka(settings: Settings, asked: Asked) -> list[Task]:
    consumer = AIOKafkaConsumer(**access(settings), client_id=f"{CLIENT_ID}-verify", enable_auto_commit=False)
    await consumer.start()
    try:
        cluster = await consumer._client.fetch_all_metadata()
        there = [
            TopicPartition(topic, partition)
            for topic in TOPICS_OF_ALL
            if not asked.topics or topic in asked.topics
            for partition in sorted(cluster.partitions_for_topic(topic) or ())
        ]
        begins, ends = await consumer.beginning_offsets(there), await consumer.end_offsets(there)
    finally:
        await consumer.stop()
    totals = {at: ends[at] - begins[at] for at in there}
    return [
        Task(store=Store.KAFKA, topic=at.topic, partition=at.partition, total=totals.get(at, 0))
        for at in sorted({*there, *_relayed_to(settings, asked)})
    ]


def _relayed_to(settings: Settings, asked: Asked) -> list[TopicPartition]:
    """Where the log is relayed to: these must be there."""
    topics = [topic for topic in sorted(LOG_TOPICS) if not asked.topics or topic in asked.topics]
    return [TopicPartition(topic, partition) for topic in topics for partition in range(settings.log_partitions)]


def _of_archive(settings: Settings, asked: Asked) -> list[Task]:
    """What the archive has, or a checkpoint says that it has."""
    archive, keys = Archive.open(settings), SigningKeys(settings)
    good, _ = checkpoints.examine(archive.files_of_store, keys.trusted())
    signed = checkpoints.reached(good[-1] if good else None)
    return [
        Task(store=Store.ARCHIVE, topic=topic, partition=partition, total=_size(archive, topic, partition))
        for topic, partition in sorted({*archive.partitions(), *signed})
        if not asked.topics or topic in asked.topics
    ]


def _size(archive: Archive, topic: str, partition: int) -> int:
    """About how many records: where the newest file begins."""
    return max((follows_of(path) or 0 for path in archive.entries.paths(topic, partition)), default=0)
