"""The native servers for real: they come up, survive a stop, a kill and a second `up`, and leave nothing behind.

They run in a state directory of their own, beside those of the other tests.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from infra.local import SERVERS, Endpoints, LocalServerError, LocalServers
from infra.local.ports import is_free
from infra.settings import load_settings
from tests.servers import STATE_ROOT

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def local() -> Iterator[LocalServers]:
    settings = load_settings()
    servers = LocalServers(
        STATE_ROOT / f"test-{psutil.Process().pid}-local", settings.cache_dir, java_home=settings.java_home
    )
    try:
        yield servers
    finally:
        servers.erase()


@pytest.fixture(scope="module")
def endpoints(local: LocalServers) -> Endpoints:
    return local.up(print)


def process_ids(local: LocalServers) -> dict[str, int | None]:
    return {server.name: server.pid for server in local.status()}


async def written_row(endpoints: Endpoints, statement: str) -> str | None:
    connection = await asyncpg.connect(endpoints.postgres_dsn)
    try:
        row: str | None = await connection.fetchval(statement)
        return row
    finally:
        await connection.close()


def test_all_four_run_once_up_returns(local: LocalServers, endpoints: Endpoints) -> None:
    assert [(server.name, server.state) for server in local.status()] == [(name, "running") for name in SERVERS]
    assert all(local.log_path(name).exists() for name in SERVERS)


def test_the_env_file_tells_where_they_are(local: LocalServers, endpoints: Endpoints) -> None:
    written = (local.log_path("kafka").parent.parent / "servers.env").read_text()

    assert f"PLAYHEAD_KAFKA_BOOTSTRAP={endpoints.kafka_bootstrap}\n" in written
    assert f"PLAYHEAD_POSTGRES_DSN={endpoints.postgres_dsn}\n" in written


def test_up_when_up_changes_nothing(local: LocalServers, endpoints: Endpoints) -> None:
    before = process_ids(local)
    said: list[str] = []

    assert local.up(said.append) == endpoints
    assert process_ids(local) == before
    assert said == []


async def test_a_stopped_and_a_killed_postgres_come_back_with_their_data(
    local: LocalServers, endpoints: Endpoints
) -> None:
    await written_row(endpoints, "CREATE TABLE kept AS SELECT 'this' AS what")

    local.stop("postgres")
    local.start("postgres")
    assert await written_row(endpoints, "INSERT INTO kept VALUES ('that') RETURNING what") == "that"
    local.kill("postgres")
    local.start("postgres")

    assert await written_row(endpoints, "SELECT string_agg(what, ' ' ORDER BY what) FROM kept") == "that this"


@pytest.mark.parametrize("server", ["kafka", "cassandra", "redis"])
def test_a_killed_server_comes_back_where_it_was(local: LocalServers, endpoints: Endpoints, server: str) -> None:
    before = process_ids(local)

    local.kill(server)
    assert [found.state for found in local.status() if found.name == server] == ["stopped"]
    local.start(server)

    after = process_ids(local)
    assert after[server] not in (None, before[server])
    assert {**after, server: None} == {**before, server: None}
    assert local.up(print) == endpoints


def test_a_configured_port_that_is_taken_is_refused_and_nothing_is_started(
    local: LocalServers, endpoints: Endpoints
) -> None:
    taken = int(endpoints.redis_url.removesuffix("/0").rpartition(":")[2])
    state = Path(f"{local.log_path('kafka').parent.parent}-other")
    other = LocalServers(state, load_settings().cache_dir, {"kafka": taken})
    try:
        with pytest.raises(LocalServerError, match=rf"Port {taken}, which kafka is to listen on, is taken"):
            other.up(print)
        assert {server.state for server in other.status()} == {"stopped"}
    finally:
        shutil.rmtree(state, ignore_errors=True)


def test_down_leaves_no_process_and_no_port(local: LocalServers, endpoints: Endpoints) -> None:
    running = local.status()

    local.down()

    assert {server.state for server in local.status()} == {"stopped"}
    for server in running:
        assert server.pid is not None and server.port is not None
        assert not psutil.pid_exists(server.pid)
        assert is_free(server.port)
    assert not (local.log_path("kafka").parent.parent / "servers.env").exists()


def test_down_when_down_is_fine(local: LocalServers) -> None:
    local.down()
    local.down()
