"""The container twin is whole: what docker-compose.yml and the Dockerfile name exists, is healthy, local and pinned."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import yaml

from tests.containers import IMAGES

ROOT = Path(__file__).parent.parent.parent
SERVERS = {"kafka", "scylla", "postgres", "valkey"}
PROCESSES = {
    "commands": ["playhead", "commands"],
    "relay": ["playhead", "relay"],
    "backfill": ["playhead", "backfill"],
    "billing": ["playhead", "billing"],
    "scheduler": ["playhead", "scheduler"],
    "reaper": ["playhead", "reaper"],
    "rebuilds": ["playhead", "rebuilds"],
    "archive": ["playhead", "archive"],
    "fake-payments": ["playhead", "fake-payments", "--webhook-url", "http://commands:8000/v1/payments/webhooks"],
    "projections-postgres": ["playhead", "projections", "postgres"],
    "projections-cassandra": ["playhead", "projections", "cassandra"],
    "projections-redis": ["playhead", "projections", "redis"],
    "query-api": ["playhead", "query-api"],
    "audits": ["playhead", "audits"],
}
PINNED = re.compile(r"^[\w./-]+:(?!latest$)[\w.-]+$")

Yaml: TypeAlias = "bool | int | str | list[Yaml] | dict[str, Yaml] | None"


def mapping(value: Yaml) -> dict[str, Yaml]:
    assert isinstance(value, dict)
    return value


def strings(value: Yaml) -> list[str]:
    assert isinstance(value, list)
    return [str(item) for item in value]


def compose() -> dict[str, Yaml]:
    loaded: Yaml = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return mapping(loaded)


SERVICES = {name: mapping(service) for name, service in mapping(compose()["services"]).items()}
DOCKERFILE = (ROOT / "Dockerfile").read_text()

every_service = pytest.mark.parametrize("name", sorted(SERVICES))


def environment(name: str) -> dict[str, Yaml]:
    return mapping(SERVICES[name].get("environment", {}))


def healthcheck(name: str) -> list[str]:
    return strings(mapping(SERVICES[name]["healthcheck"])["test"])


def mounts() -> Iterator[tuple[str, str]]:
    for name, service in SERVICES.items():
        for volume in strings(service.get("volumes", [])):
            yield name, volume.split(":")[0]


def test_it_has_the_servers_the_migration_and_every_process() -> None:
    assert set(SERVICES) == SERVERS | PROCESSES.keys() | {"migrate"}


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_a_process_runs_its_command_once_migrated(name: str) -> None:
    assert SERVICES[name]["command"] == PROCESSES[name]
    assert mapping(SERVICES[name]["depends_on"])["migrate"] == {"condition": "service_completed_successfully"}


def test_the_migration_runs_once_when_its_servers_are_healthy() -> None:
    migrate = SERVICES["migrate"]

    assert migrate["command"] == ["playhead", "migrate"]
    assert migrate["restart"] == "no"
    assert mapping(migrate["depends_on"]).keys() == {"kafka", "scylla", "postgres"}


@every_service
def test_everything_but_the_migration_has_a_health_check_and_comes_back(name: str) -> None:
    if name == "migrate":
        assert "healthcheck" not in SERVICES[name]
    else:
        assert healthcheck(name)[0] in {"CMD", "CMD-SHELL"}
        assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_a_process_is_probed_where_it_listens(name: str) -> None:
    served = {"commands": "8000", "query-api": "8001", "audits": "8002", "fake-payments": "8090"}
    port = served.get(name) or environment(name)["PLAYHEAD_PROBE_PORT"]

    assert healthcheck(name) == ["CMD", "playhead", "health", f"http://127.0.0.1:{port}"]
    assert environment(name)["PLAYHEAD_HOST"] == "0.0.0.0"


@every_service
def test_a_dependency_exists_and_is_waited_for(name: str) -> None:
    for dependency, how in mapping(SERVICES[name].get("depends_on", {})).items():
        assert dependency in SERVICES
        expected = "service_completed_successfully" if dependency == "migrate" else "service_healthy"
        assert how == {"condition": expected}


@pytest.mark.parametrize("name", [*PROCESSES, "migrate"])
def test_a_server_that_a_process_is_pointed_to_exists(name: str) -> None:
    pointed = environment(name)

    assert pointed["PLAYHEAD_KAFKA_BOOTSTRAP"] == "kafka:9092"
    assert pointed["PLAYHEAD_POSTGRES_DSN"] == "postgresql://playhead@postgres:5432/playhead"
    assert (pointed["PLAYHEAD_CASSANDRA_HOST"], pointed["PLAYHEAD_CASSANDRA_PORT"]) == ("scylla", "9042")
    assert pointed["PLAYHEAD_REDIS_URL"] == "redis://valkey:6379/0"


@every_service
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for port in strings(SERVICES[name].get("ports", [])):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


@every_service
def test_an_image_is_pinned(name: str) -> None:
    assert PINNED.match(str(SERVICES[name]["image"]))


def test_the_tests_use_the_same_images() -> None:
    assert {SERVICES[name]["image"] for name in SERVERS} == set(IMAGES.values())


def test_volumes_are_declared_and_used() -> None:
    used = {volume for _, volume in mounts()}

    assert used == mapping(compose()["volumes"]).keys()
    assert {name for name, volume in mounts() if volume == "keys"} == {
        "archive",
        "commands",
        "query-api",
        "audits",
        "billing",
        "fake-payments",
    }


@every_service
def test_memory_is_bounded(name: str) -> None:
    assert re.fullmatch(r"\d+[mg]", str(SERVICES[name]["mem_limit"]))


@every_service
def test_no_secret_is_in_the_file(name: str) -> None:
    assert not [key for key in environment(name) if re.search("PASSWORD|SECRET|TOKEN", key)]


def test_the_image_is_built_in_stages_from_pinned_images() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)

    assert len(bases) > 1
    assert all(PINNED.match(base) for base in bases)


def test_the_image_does_not_run_as_root() -> None:
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)

    assert users
    assert users[-1] not in {"root", "0"}


def test_the_image_installs_only_what_is_locked() -> None:
    assert "pip install --require-hashes -r requirements.txt" in DOCKERFILE
    assert "pip install --no-build-isolation --no-deps ." in DOCKERFILE


def test_every_package_gets_into_the_image() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}

    assert packages <= set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE))
    assert packages <= {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
