"""Where the servers answer, as the rest of Playhead is told it: an object here, an env file for the processes."""

from dataclasses import dataclass
from pathlib import Path

from infra.local.ports import LOOPBACK


@dataclass(frozen=True)
class Endpoints:
    """The addresses of the four servers."""

    kafka_bootstrap: str
    postgres_dsn: str
    cassandra_host: str
    cassandra_port: int
    redis_url: str

    @property
    def environment(self) -> dict[str, str]:
        """The addresses under the names that Playhead's settings read."""
        return {
            "PLAYHEAD_KAFKA_BOOTSTRAP": self.kafka_bootstrap,
            "PLAYHEAD_POSTGRES_DSN": self.postgres_dsn,
            "PLAYHEAD_CASSANDRA_HOST": self.cassandra_host,
            "PLAYHEAD_CASSANDRA_PORT": str(self.cassandra_port),
            "PLAYHEAD_REDIS_URL": self.redis_url,
        }


def local_endpoints(*, kafka: int, cassandra: int, postgres: int, redis: int) -> Endpoints:
    """The endpoints of servers on these loopback ports."""
    return Endpoints(
        kafka_bootstrap=f"{LOOPBACK}:{kafka}",
        postgres_dsn=f"postgresql://playhead@{LOOPBACK}:{postgres}/playhead",
        cassandra_host=LOOPBACK,
        cassandra_port=cassandra,
        redis_url=f"redis://{LOOPBACK}:{redis}/0",
    )


def write_environment(path: Path, endpoints: Endpoints) -> None:
    """Write `endpoints` as an env file, in one step, so that nobody reads half of it."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text("".join(f"{name}={value}\n" for name, value in endpoints.environment.items()))
    unfinished.replace(path)
