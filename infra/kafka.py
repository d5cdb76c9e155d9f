"""Kafka: the idempotent producer that every write goes through, how every client gets in, and the topics."""

import ssl
from collections.abc import Sequence
from typing import Final, TypedDict

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from events.topics import BACKFILL, DEAD_LETTERS, TOPICS, Lane, Topic
from infra.settings import Settings
from infra.tls import tls_context

RETENTION: Final = "retention.ms"
KEPT: Final = "-1"
SET_ON_TOPIC: Final = 1
"""Kafka's number for where a setting comes from: the topic itself."""
CLIENT_ID = "playhead"
BATCH_MAX_BYTES = 16 * 1024


class Access(TypedDict):
    """What every client is made with: where the brokers are, and who it is."""

    bootstrap_servers: str
    security_protocol: str
    ssl_context: ssl.SSLContext | None
    sasl_mechanism: str
    sasl_plain_username: str | None
    sasl_plain_password: str | None


def access(settings: Settings) -> Access:
    """The way in that the settings name. Encrypted, a broker's certificate must be of a known authority and of its
    host.
    """
    return Access(
        bootstrap_servers=settings.kafka_bootstrap,
        security_protocol=settings.kafka_security_protocol,
        ssl_context=_tls(settings) if settings.kafka_uses_tls else None,
        sasl_mechanism=settings.kafka_sasl_mechanism,
        sasl_plain_username=settings.kafka_username,
        sasl_plain_password=settings.kafka_secret(),
    )


def _tls(settings: Settings) -> ssl.SSLContext:
    return tls_context(settings.kafka_ca_file, settings.kafka_certificate_file, settings.kafka_certificate_key_file)


def new_producer(settings: Settings, *, batch_max_bytes: int = BATCH_MAX_BYTES) -> AIOKafkaProducer:
    """An idempotent producer with acks=all; start() it. lz4: the cheapest per byte saved on JSON."""
    return AIOKafkaProducer(
        **access(settings),
        client_id=CLIENT_ID,
        enable_idempotence=True,
        acks="all",
        compression_type="lz4",
        linger_ms=settings.produce_linger_ms,
        max_batch_size=batch_max_bytes,
        request_timeout_ms=int(settings.produce_timeout_s * 1000),
        max_request_size=4 * settings.request_max_bytes,
    )


async def abandon(producer: AIOKafkaProducer) -> None:
    """Close a producer without waiting for what Kafka does not take; its stop() would wait for that without end."""
    producer._closed = True
    if producer._sender is not None:
        await producer._sender.close()
    await producer.client.close()


def partitions_of(topic: Topic, settings: Settings) -> int:
    """How many partitions a topic is created with."""
    if topic in DEAD_LETTERS:
        return 1
    return settings.log_partitions if topic.lane is Lane.LOG else settings.playback_partitions


def retention_days_of(topic: Topic, settings: Settings) -> int | None:
    """How long a topic keeps its records once they are archived; None: for good."""
    return settings.backfill_retention_days if topic is BACKFILL else topic.retention_days


def topic_config(settings: Settings) -> dict[str, str]:
    """A topic's settings in Kafka's words. Kafka itself removes nothing: infra/archive/retaining.py does, of what the
    archive has.
    """
    return {
        RETENTION: KEPT,
        "min.insync.replicas": str(settings.min_insync_replicas),
        "compression.type": "producer",
        "message.timestamp.type": "CreateTime",
    }


async def migrate(settings: Settings) -> list[str]:
    """Create the topics that are missing; the names of those created. Those that are there and would lose records by
    Kafka's own retention keep them from now on.
    """
    admin = AIOKafkaAdminClient(**access(settings), client_id=CLIENT_ID)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        topics = (*TOPICS, BACKFILL, *DEAD_LETTERS)
        await _keep_for_good(admin, [topic.name for topic in topics if topic.name in existing])
        return [topic.name for topic in topics if await _create(admin, topic, existing, settings)]
    finally:
        await admin.close()


async def _keep_for_good(admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
    """Altering replaces all that is set on a topic: what else an operator set there is set again."""
    described = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    for code, _, _, name, entries in (each for reply in described for each in reply.resources):
        if code:
            raise for_code(code)(name)
        own = {setting: value for setting, value, _, source, *_ in entries if source == SET_ON_TOPIC}
        if own.get(RETENTION) != KEPT:
            resource = ConfigResource(ConfigResourceType.TOPIC, name, configs=own | {RETENTION: KEPT})
            for reply in await admin.alter_configs([resource]):
                for failed, reason, *_ in reply.resources:
                    if failed:
                        raise for_code(failed)(reason)


async def _create(admin: AIOKafkaAdminClient, topic: Topic, existing: set[str], settings: Settings) -> bool:
    if topic.name in existing:
        return False
    new = NewTopic(
        topic.name,
        num_partitions=partitions_of(topic, settings),
        replication_factor=settings.replication_factor,
        topic_configs=topic_config(settings),
    )
    response = await admin.create_topics([new])
    code: int = response.topic_errors[0][1]
    if code and for_code(code) is not TopicAlreadyExistsError:  # another process was first: as good as ours
        raise for_code(code)(response.topic_errors[0])
    return code == 0
