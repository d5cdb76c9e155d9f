"""What the servers are told: loopback only, their own ports, and where they answer."""

from pathlib import Path

import pytest

from infra.local.accounts import Account, first_closed_directory
from infra.local.cassandra import cassandra_yaml
from infra.local.endpoints import local_endpoints, write_environment
from infra.local.kafka import cluster_id, server_properties
from infra.local.redis import version_in


def test_the_env_file_names_every_endpoint(tmp_path: Path) -> None:
    path = tmp_path / "servers.env"

    write_environment(path, local_endpoints(kafka=1, cassandra=2, postgres=3, redis=4))

    assert path.read_text().splitlines() == [
        "PLAYHEAD_KAFKA_BOOTSTRAP=127.0.0.1:1",
        "PLAYHEAD_POSTGRES_DSN=postgresql://playhead@127.0.0.1:3/playhead",
        "PLAYHEAD_CASSANDRA_HOST=127.0.0.1",
        "PLAYHEAD_CASSANDRA_PORT=2",
        "PLAYHEAD_REDIS_URL=redis://127.0.0.1:4/0",
    ]
    assert list(tmp_path.iterdir()) == [path]


def test_kafka_listens_on_loopback_only() -> None:
    lines = server_properties(Path("/state/kafka/data"), 21_000, 21_001).splitlines()

    assert "listeners=PLAINTEXT://127.0.0.1:21000,CONTROLLER://127.0.0.1:21001" in lines
    assert "advertised.listeners=PLAINTEXT://127.0.0.1:21000" in lines
    assert "auto.create.topics.enable=false" in lines


def test_a_cluster_id_is_one_that_kafka_accepts() -> None:
    cluster = cluster_id(Path("/state/kafka/data"))

    assert len(cluster) == 22
    assert not cluster.startswith("-")
    assert cluster == cluster_id(Path("/state/kafka/data"))


def test_cassandra_is_its_own_seed_on_loopback() -> None:
    lines = [line.strip() for line in cassandra_yaml(Path("/state/cassandra"), 21_002, 21_003).splitlines()]

    assert '- seeds: "127.0.0.1:21003"' in lines
    assert "native_transport_port: 21002" in lines
    assert "rpc_address: 127.0.0.1" in lines
    assert "listen_address: 127.0.0.1" in lines


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=8f1", (7, 0)),
        ("Redis server v=6.2.6 sha=00000000:0", (6, 2)),
        ("something else", (0, 0)),
    ],
)
def test_the_version_of_an_installed_redis_is_understood(answer: str, version: tuple[int, int]) -> None:
    assert version_in(answer) == version


def test_a_closed_parent_directory_is_found(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "inner").mkdir(parents=True)
    tmp_path.chmod(0o755)
    closed.chmod(0o700)
    stranger = Account("nobody", closed.stat().st_uid + 1, closed.stat().st_gid + 1)
    parents_are_open = first_closed_directory(tmp_path, stranger) is None

    found = first_closed_directory(closed / "inner", stranger)

    assert found == (closed if parents_are_open else first_closed_directory(tmp_path, stranger))


def test_the_owner_may_enter_a_closed_directory(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    stranger = Account("nobody", closed.stat().st_uid + 1, closed.stat().st_gid + 1)
    owner = Account("owner", closed.stat().st_uid, closed.stat().st_gid)

    assert first_closed_directory(closed, stranger) is not None
    assert first_closed_directory(closed, owner) != closed
