"""Each server as an operator would run it: encrypted, with users and passwords. Who is not let in is not let in."""

import asyncio
import os
import ssl
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import redis.exceptions
from aiokafka.errors import KafkaError
from cassandra.cluster import NoHostAvailable

from infra import kafka, postgres
from infra import redis as redis_client
from infra.cassandra import Cassandra
from infra.local.processes import Launch
from infra.postgres import Role, connect_pool
from infra.settings import Settings, environment_of_child
from tests.integration.secure_servers import (
    PASSWORD,
    SCRAM_PASSWORD,
    USER,
    Authority,
    encrypted,
    ground,
    running,
    secured_cassandra,
    secured_kafka,
    secured_postgres,
    secured_redis,
    written,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secure")


@pytest.fixture(scope="module")
def authority(directory: Path) -> Authority:
    """Who vouches for the servers."""
    return Authority(directory, "ours")


@pytest.fixture(scope="module")
def stranger(directory: Path) -> Authority:
    """Somebody else."""
    return Authority(directory, "theirs")


@pytest.fixture(scope="module")
def password_file(directory: Path) -> Path:
    return written(directory / "password", PASSWORD + "\n")


@pytest.fixture(scope="module")
def wrong_password_file(directory: Path) -> Path:
    return written(directory / "wrong_password", "guessed")


@pytest.fixture(scope="module")
def postgres_address(directory: Path, authority: Authority) -> Iterator[str]:
    with secured_postgres(directory, authority) as address:
        yield address


@pytest.fixture(scope="module")
def redis_port(directory: Path) -> Iterator[int]:
    with secured_redis(directory) as port:
        yield port


@pytest.fixture(scope="module")
def brokers(directory: Path, authority: Authority) -> Iterator[dict[str, str]]:
    with secured_kafka(directory, authority) as where:
        yield where


@pytest.fixture(scope="module")
def cassandra_port(directory: Path, authority: Authority) -> Iterator[int]:
    with secured_cassandra(directory, authority) as port:
        yield port


# Postgres


def postgres_settings(address: str, ca: Path, password: Path, *, host: str = "127.0.0.1") -> Settings:
    at = address.replace("127.0.0.1", host)
    dsn = f"postgresql://playhead@{at}?sslmode=verify-full&sslrootcert={ca}"
    return Settings(postgres_dsn=dsn, postgres_password_file=password)


async def test_postgres_is_migrated_and_used_encrypted_with_a_password_from_a_file(
    postgres_address: str, authority: Authority, password_file: Path
) -> None:
    settings = postgres_settings(postgres_address, authority.file, password_file)
    await postgres.migrate(settings)
    pool = await connect_pool(settings, role=Role.QUERY, size=1)
    try:
        assert await pool.fetchval("select current_user") == "playhead_query"
        assert await pool.fetch("select * from catalog_titles") == []
    finally:
        await pool.close()
    connection = await postgres.connect(settings)
    assert await connection.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
    await connection.close()


async def test_a_postgres_of_another_authority_or_name_is_not_talked_to(
    postgres_address: str, authority: Authority, stranger: Authority, password_file: Path
) -> None:
    for settings in (
        postgres_settings(postgres_address, stranger.file, password_file),
        postgres_settings(postgres_address, authority.file, password_file, host="localhost"),
    ):
        with pytest.raises(ssl.SSLCertVerificationError):
            await postgres.connect(settings)


async def test_a_wrong_password_is_refused_and_the_file_is_read_anew(
    postgres_address: str, authority: Authority, tmp_path: Path
) -> None:
    file = written(tmp_path / "password", "guessed")
    pool = await connect_pool(postgres_settings(postgres_address, authority.file, file), size=1)
    try:
        with pytest.raises(asyncpg.InvalidPasswordError) as refused:
            await pool.fetchval("select 1")
        assert "guessed" not in repr(refused.value)
        file.write_text(PASSWORD)
        assert await pool.fetchval("select 1") == 1
    finally:
        await pool.close()


# Redis


async def ping(settings: Settings) -> bool:
    client = redis_client.connect(settings)
    try:
        return bool(await client.ping())
    finally:
        await client.aclose()


async def test_redis_takes_its_user_by_the_password_in_a_file(
    redis_port: int, password_file: Path, wrong_password_file: Path
) -> None:
    url = f"redis://127.0.0.1:{redis_port}/0"
    assert await ping(Settings(redis_url=url, redis_username=USER, redis_password_file=password_file))
    for settings in (
        Settings(redis_url=url),
        Settings(redis_url=url, redis_username=USER, redis_password_file=wrong_password_file),
        Settings(redis_url=url, redis_password_file=password_file),
    ):
        with pytest.raises((redis.exceptions.AuthenticationError, redis.exceptions.ResponseError)):
            await ping(settings)


async def test_redis_is_talked_to_encrypted_and_only_by_its_own_name(
    redis_port: int, authority: Authority, stranger: Authority, password_file: Path
) -> None:
    async with encrypted(redis_port, authority) as port:

        def settings(host: str, ca: Path) -> Settings:
            url = f"rediss://{host}:{port}/0"
            return Settings(redis_url=url, redis_username=USER, redis_password_file=password_file, redis_ca_file=ca)

        assert await ping(settings("127.0.0.1", authority.file))
        for other in (settings("127.0.0.1", stranger.file), settings("localhost", authority.file)):
            with pytest.raises(redis.exceptions.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
                await ping(other)


# Kafka


def kafka_settings(brokers: dict[str, str], listener: str, **how: object) -> Settings:
    return Settings(kafka_bootstrap=brokers[listener], **how)  # type: ignore[arg-type]  # each is one of the settings


async def produced(settings: Settings) -> int:
    """Where a record was put, after the topics were made."""
    await kafka.migrate(settings)
    producer = kafka.new_producer(settings)
    try:
        await producer.start()
        sent = await producer.send_and_wait("playback.events", b"{}")
        return int(sent.offset)
    finally:
        await producer.stop()


async def test_kafka_takes_a_user_by_scram_over_tls(
    brokers: dict[str, str], authority: Authority, directory: Path
) -> None:
    password = written(directory / "kafka_password", SCRAM_PASSWORD)
    how = {"kafka_security_protocol": "SASL_SSL", "kafka_username": USER, "kafka_password_file": password}
    assert await produced(kafka_settings(brokers, "scram", **how, kafka_ca_file=authority.file)) >= 0


async def test_kafka_takes_a_user_by_plain(brokers: dict[str, str]) -> None:
    how = {"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_sasl_mechanism": "PLAIN", "kafka_username": USER}
    assert await produced(kafka_settings(brokers, "plain", **how, kafka_password="plainly")) >= 0


async def test_kafka_takes_a_client_by_its_certificate(brokers: dict[str, str], authority: Authority) -> None:
    certificate, key = authority.issue("playhead")
    how = {"kafka_ca_file": authority.file, "kafka_certificate_file": certificate, "kafka_certificate_key_file": key}
    assert await produced(kafka_settings(brokers, "mutual", kafka_security_protocol="SSL", **how)) >= 0


@pytest.mark.parametrize("wrong", ["password", "authority", "host", "unencrypted"])
async def test_kafka_and_its_clients_refuse_each_other_otherwise(
    brokers: dict[str, str], authority: Authority, stranger: Authority, directory: Path, wrong: str
) -> None:
    password = written(directory / "kafka_guess", "guessed" if wrong == "password" else SCRAM_PASSWORD)
    how: dict[str, object] = {
        "kafka_security_protocol": "SASL_SSL",
        "kafka_username": USER,
        "kafka_password_file": password,
        "kafka_ca_file": (stranger if wrong == "authority" else authority).file,
    }
    at = {"scram": brokers["scram"].replace("127.0.0.1", "localhost") if wrong == "host" else brokers["scram"]}
    with pytest.raises(KafkaError) as refused:
        await produced(kafka_settings(at, "scram", **({} if wrong == "unencrypted" else how)))
    assert SCRAM_PASSWORD not in repr(refused.value)


# Cassandra


def cassandra_settings(port: int, ca: Path, password: Path, **how: object) -> Settings:
    given: dict[str, object] = {
        "cassandra_port": port,
        "cassandra_tls": True,
        "cassandra_ca_file": ca,
        "cassandra_username": "cassandra",
        "cassandra_password_file": password,
        "query_timeout_s": 20.0,
        **how,
    }
    return Settings(**given)  # type: ignore[arg-type]  # each is one of the settings


async def test_cassandra_takes_a_user_by_password_over_tls(
    cassandra_port: int, authority: Authority, directory: Path
) -> None:
    password = written(directory / "cassandra_password", "cassandra\n")
    settings = cassandra_settings(cassandra_port, authority.file, password)
    session = await _once_its_first_user_is_there(settings)
    rows = await session.execute("select release_version from system.local")
    await session.close()
    assert len(rows) == 1


async def _once_its_first_user_is_there(settings: Settings) -> Cassandra:
    for _ in range(30):
        try:
            return await Cassandra.connect(settings, keyspace="")
        except NoHostAvailable as error:
            last = error
            await asyncio.sleep(1)
    raise last


@pytest.mark.parametrize("wrong", ["password", "authority", "unencrypted"])
async def test_cassandra_and_its_clients_refuse_each_other_otherwise(
    cassandra_port: int, authority: Authority, stranger: Authority, directory: Path, wrong: str
) -> None:
    password = written(directory / "cassandra_guess", "guessed" if wrong == "password" else "cassandra")
    ca = (stranger if wrong == "authority" else authority).file
    how: dict[str, object] = {"query_timeout_s": 3.0}
    if wrong == "unencrypted":
        how |= {"cassandra_tls": False, "cassandra_ca_file": None}
    with pytest.raises(NoHostAvailable):
        await Cassandra.connect(cassandra_settings(cassandra_port, ca, password, **how), keyspace="")


async def test_a_node_whose_certificate_is_for_another_address_is_not_talked_to(
    cassandra_port: int, authority: Authority, directory: Path
) -> None:
    password = written(directory / "cassandra_password", "cassandra\n")
    async with encrypted(cassandra_port, authority, "127.0.0.9") as port:
        with pytest.raises(NoHostAvailable, match="IP address mismatch"):
            await Cassandra.connect(
                cassandra_settings(port, authority.file, password, query_timeout_s=3.0), keyspace=""
            )


# Processes


def test_processes_get_in_everywhere_by_their_environment_alone(
    directory: Path,
    brokers: dict[str, str],
    redis_port: int,
    postgres_address: str,
    authority: Authority,
    password_file: Path,
) -> None:
    """A relay, and a projection by Faust: ready once they hold partitions, which they ask their servers for."""
    dsn = f"postgresql://playhead@{postgres_address}?sslmode=verify-full&sslrootcert={authority.file}"
    kafka_password = written(directory / "kafka_password", SCRAM_PASSWORD)
    given = {
        "state_dir": directory / "state",
        "postgres_dsn": dsn,
        "postgres_password_file": password_file,
        "kafka_bootstrap": brokers["scram"],
        "kafka_security_protocol": "SASL_SSL",
        "kafka_username": USER,
        "kafka_password_file": kafka_password,
        "kafka_ca_file": authority.file,
        "redis_url": f"redis://127.0.0.1:{redis_port}/0",
        "redis_username": USER,
        "redis_password_file": password_file,
    }
    settings = Settings(**given)  # type: ignore[arg-type]  # each is one of the settings
    asyncio.run(_migrated(settings))
    logs = {}
    for command in (("relay",), ("projections", "redis")):
        on = ground(directory / command[0], "probe")
        port = on.site.ports["probe"]
        environment = environment_of_child(**given, probe_port=port)
        inherited = {name: value for name, value in environment.items() if name[9:].lower() in {*given, "probe_port"}}
        others = {name: value for name, value in os.environ.items() if not name.startswith("PLAYHEAD_")}
        _until_ready(command, {**others, **inherited}, port, on.log)
        logs[command[0]] = on.log.read_text()
    for secret in (PASSWORD, SCRAM_PASSWORD):
        assert not [name for name, log in logs.items() if secret in log]


async def _migrated(settings: Settings) -> None:
    await kafka.migrate(settings)
    await postgres.migrate(settings)


def _until_ready(command: tuple[str, ...], environment: dict[str, str], port: int, log: Path) -> None:
    launch = Launch((sys.executable, "-m", "playhead", *command), Path.cwd(), environment=environment)
    with running(launch, log, lambda: _answers_ready(port)):
        pass


def _answers_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5):
            return True
    except OSError:
        return False
