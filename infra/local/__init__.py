"""Kafka, Cassandra, Postgres and Redis on this machine without Docker, for development and for tests.

It stands beside the flow: everything else only sees the endpoints that `LocalServers.up` returns.
"""

from infra.local.endpoints import Endpoints
from infra.local.errors import LocalServerError
from infra.local.servers import SERVERS, LocalServers, ServerStatus

__all__ = ["SERVERS", "Endpoints", "LocalServerError", "LocalServers", "ServerStatus"]
