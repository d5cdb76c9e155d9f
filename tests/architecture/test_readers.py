"""Who is said to read which topic does, so that nothing is removed from Kafka before they have it."""

from infra.archive.readers import READ_BY
from infra.kafka import CLIENT_ID
from infra.settings import Settings
from projections.app import cassandra_views, postgres_views, redis_views
from projections.worker import topics_of


def test_the_readers_of_topics_are_the_projections() -> None:
    settings = Settings()
    views = {
        "postgres": postgres_views(settings),
        "cassandra": cassandra_views(settings),
        "redis": redis_views(settings),
    }

    for store, of in views.items():
        assert sorted(READ_BY[f"{CLIENT_ID}-projections-{store}"]) == topics_of(of)
