"""Free ports are chosen once and kept; a configured one that is taken is refused by name."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local import LocalServerError, LocalServers
from infra.local.kafka import Kafka
from infra.local.port_book import PortBook
from infra.local.ports import LOOPBACK, free_port, is_free, require_free
from infra.local.redis import Redis

BOTH = (Kafka(), Redis())


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((LOOPBACK, 0)) as listening:
        yield listening


def port_of(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


def test_a_taken_port_is_refused_with_its_number_and_server(listener: socket.socket) -> None:
    port = port_of(listener)

    with pytest.raises(LocalServerError, match=rf"Port {port}, which kafka is to listen on, is taken"):
        require_free("kafka", port)


def test_a_port_is_free_again_once_its_listener_is_gone(listener: socket.socket) -> None:
    port = port_of(listener)
    assert not is_free(port)

    listener.close()

    assert is_free(port)


def test_free_ports_are_outside_the_range_that_clients_are_given(tmp_path: Path) -> None:
    assert 20_000 <= free_port(tmp_path, ()) < 30_000


def test_every_port_is_another(tmp_path: Path) -> None:
    ports = PortBook(tmp_path / "ports.json", {}).settle(BOTH, running=(), say=print)

    assert sorted(ports) == ["kafka", "kafka_controller", "redis"]
    assert len(set(ports.values())) == 3


def test_ports_are_remembered(tmp_path: Path) -> None:
    first = PortBook(tmp_path / "ports.json", {}).settle(BOTH, running=(), say=print)

    assert PortBook(tmp_path / "ports.json", {}).settle(BOTH, running=(), say=print) == first


def test_a_configured_port_is_taken_as_it_is(tmp_path: Path) -> None:
    ports = PortBook(tmp_path / "ports.json", {"kafka": 9092}).settle(BOTH, running=(), say=print)

    assert ports["kafka"] == 9092


def test_a_remembered_port_that_is_taken_is_replaced_and_said(tmp_path: Path, listener: socket.socket) -> None:
    port = port_of(listener)
    (tmp_path / "ports.json").write_text(f'{{"redis": {port}}}')
    said: list[str] = []

    ports = PortBook(tmp_path / "ports.json", {}).settle(BOTH, running=(), say=said.append)

    assert ports["redis"] != port
    assert said == [f"redis: port {port}, which it had, is taken; it moves to {ports['redis']}"]


def test_a_running_server_keeps_its_port(tmp_path: Path, listener: socket.socket) -> None:
    port = port_of(listener)
    (tmp_path / "ports.json").write_text(f'{{"redis": {port}}}')

    ports = PortBook(tmp_path / "ports.json", {}).settle(BOTH, running=("redis",), say=print)

    assert ports["redis"] == port


def test_another_port_for_a_running_server_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text('{"redis": 20001}')
    book = PortBook(tmp_path / "ports.json", {"redis": 6379})

    with pytest.raises(LocalServerError, match="redis is configured for port 6379 but runs on 20001"):
        book.settle(BOTH, running=("redis",), say=print)


def test_a_port_for_an_unknown_server_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="No server has a port mongodb"):
        LocalServers(tmp_path, tmp_path, {"mongodb": 27017})


def test_one_port_for_two_servers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="same port"):
        LocalServers(tmp_path, tmp_path, {"kafka": 9000, "redis": 9000})
