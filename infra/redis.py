"""Redis or Valkey: the client of every process. Lua is kept beside what uses it; keys of one profile share a hash
tag.
"""

from typing import TypeAlias

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from infra.settings import Settings

Redis: TypeAlias = "redis.asyncio.Redis"


def connect(settings: Settings) -> Redis:
    """A client that fails within the query timeout and does not retry by itself: its callers know what to do then."""
    return redis.asyncio.Redis.from_url(
        settings.redis_url,
        socket_timeout=settings.query_timeout_s,
        socket_connect_timeout=settings.query_timeout_s,
        retry=Retry(NoBackoff(), 0),
        protocol=3,
    )
