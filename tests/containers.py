"""The tests' servers in containers, for machines where a Docker engine answers; tests/servers.py chooses."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import docker  # type: ignore[import-untyped]
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from infra.local import Endpoints, probes
from infra.local.ports import free_port

_ENGINE_TIMEOUT_S = 3
_READY_TIMEOUT_S = 180.0

# The same images as in docker-compose.yml, which tests/architecture/test_compose.py checks.
IMAGES = {
    "kafka": "apache/kafka:4.2.0",
    "cassandra": "scylladb/scylla:2025.4.2",
    "postgres": "postgres:18.1",
    "redis": "valkey/valkey:8.1.3",
}
_INNER_PORTS = {"kafka": 9092, "cassandra": 9042, "postgres": 5432, "redis": 6379}
_COMMANDS = {
    "cassandra": "--smp 1 --memory 1G --overprovisioned 1 --developer-mode 1",
    "redis": "valkey-server --appendonly no --save '' --maxmemory-policy noeviction",
}
_PROBES: dict[str, Callable[[int, str], bool]] = {
    "kafka": probes.kafka_serves,
    "cassandra": probes.cassandra_serves,
    "postgres": probes.postgres_serves,
    "redis": probes.redis_serves,
}


class Container(Protocol):
    """What is used of a container of the docker library."""

    def stop(self) -> None: ...

    def kill(self) -> None: ...

    def start(self) -> None: ...

    def pause(self) -> None: ...

    def unpause(self) -> None: ...


class ContainerServers:
    """Servers in containers on fixed ports, so that one which was stopped comes back at the same endpoint.

    testcontainers' own reaper removes them when this process dies.
    """

    def __init__(self) -> None:
        host = str(DockerClient().host())
        ports: dict[str, int] = {}
        for name in IMAGES:
            ports[name] = free_port(Path(__file__), ports.values())
        self._host, self._ports = host, ports
        self._containers = {name: DockerContainer(image) for name, image in IMAGES.items()}
        self.endpoints = Endpoints(
            kafka_bootstrap=f"{host}:{ports['kafka']}",
            postgres_dsn=f"postgresql://playhead@{host}:{ports['postgres']}/playhead",
            cassandra_host=host,
            cassandra_port=ports["cassandra"],
            redis_url=f"redis://{host}:{ports['redis']}/0",
        )
        try:
            for name in self._containers:
                self._create(name)
            for name in self._containers:
                self._await(name)
        except BaseException:
            self.erase()
            raise

    def stop(self, name: str) -> None:
        self._wrapped(name).stop()

    def kill(self, name: str) -> None:
        self._wrapped(name).kill()

    def start(self, name: str) -> None:
        self._wrapped(name).start()
        self._await(name)

    def pause(self, name: str) -> None:
        self._wrapped(name).pause()

    def resume(self, name: str) -> None:
        self._wrapped(name).unpause()

    def erase(self) -> None:
        """Remove the containers."""
        for container in self._containers.values():
            container.stop()

    def _create(self, name: str) -> None:
        container = self._containers[name]
        container.with_bind_ports(_INNER_PORTS[name], self._ports[name])
        container.with_envs(**_environment(name, self.endpoints))
        if name in _COMMANDS:
            container.with_command(_COMMANDS[name])
        container.start()

    def _wrapped(self, name: str) -> Container:
        wrapped: Container = self._containers[name].get_wrapped_container()
        return wrapped

    def _await(self, name: str) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not _PROBES[name](self._ports[name], self._host):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{IMAGES[name]} did not serve within {_READY_TIMEOUT_S:.0f} s")
            time.sleep(0.2)


def docker_engine_answers() -> bool:
    """Whether a Docker engine, not only its client, is there; a silent one counts as none after a few seconds."""
    try:
        client = docker.from_env(timeout=_ENGINE_TIMEOUT_S)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except docker.errors.DockerException:
        return False


def _environment(name: str, endpoints: Endpoints) -> dict[str, str]:
    match name:
        case "kafka":
            return {
                "KAFKA_NODE_ID": "1",
                "KAFKA_PROCESS_ROLES": "broker,controller",
                "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
                "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
                "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
                "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{endpoints.kafka_bootstrap}",
                "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
                "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
                "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
                "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
                "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
                "KAFKA_BROKER_SESSION_TIMEOUT_MS": "4000",
                "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS": "500",
            }
        case "postgres":
            return {
                "POSTGRES_USER": "playhead",
                "POSTGRES_DB": "playhead",
                "POSTGRES_HOST_AUTH_METHOD": "trust",
                "POSTGRES_INITDB_ARGS": "--locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 -E UTF8",
            }
        case _:
            return {}
