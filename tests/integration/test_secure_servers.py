"""Each server as an operator would run it: encrypted, with users and passwords. Who is not let in is not let in."""

import asyncio
import os
import shutil
import ssl
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
import redis.exceptions
from aiokafka.errors import KafkaError
from cassandra.cluster import NoHostAvailable
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12
from cryptography.x509 import load_pem_x509_certificate

from infra import kafka, postgres
from infra import redis as redis_client
from infra.cassandra import Cassandra
from infra.local import probes
from infra.local.cassandra import Cassandra as LocalCassandra
from infra.local.kafka import Kafka as LocalKafka
from infra.local.kafka import cluster_id, server_properties
from infra.local.postgres import Postgres as LocalPostgres
from infra.local.postgres import erase_home
from infra.local.processes import Launch, run_once
from infra.local.redis import Redis as LocalRedis
from infra.postgres import Role, connect_pool
from infra.settings import Settings, environment_of_child
from tests.integration.secure_servers import PASSWORD, USER, Authority, ground, more, own, running

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


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# Postgres


@pytest.fixture(scope="module")
def postgres_address(directory: Path, authority: Authority) -> Iterator[str]:
    """A Postgres that takes nobody without TLS and a password."""
    on = ground(directory / "postgres", "postgres")
    launch, port = LocalPostgres().prepare(on.site), on.site.ports["postgres"]
    own(tuple(files := [Path(shutil.copy(file, launch.directory)) for file in authority.issue("postgres")]))
    hba = launch.directory / "data" / "pg_hba.conf"
    try:
        with running(launch, on.log, lambda: probes.postgres_serves(port)):
            asyncio.run(_set_password(port))
        hba.write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        encrypted = more(launch, "--ssl=on", f"--ssl_cert_file={files[0]}", f"--ssl_key_file={files[1]}")
        with running(encrypted, on.log, lambda: _refused_without_tls(port)):
            yield f"127.0.0.1:{port}/playhead"
    finally:
        erase_home(on.site.home)


async def _set_password(port: int) -> None:
    connection = await asyncpg.connect(f"postgresql://playhead@127.0.0.1:{port}/playhead")
    quoted = PASSWORD.replace("'", "''")
    await connection.execute(f"alter role playhead password '{quoted}'")
    await connection.close()


def _refused_without_tls(port: int) -> bool:
    """What this server answers once it serves."""
    try:
        asyncio.run(asyncpg.connect(f"postgresql://playhead:x@127.0.0.1:{port}/playhead?sslmode=disable"))
    except asyncpg.InvalidAuthorizationSpecificationError as refused:
        return "no pg_hba.conf entry" in str(refused)
    except (OSError, asyncpg.CannotConnectNowError):
        return False
    return False


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


@pytest.fixture(scope="module")
def redis_port(directory: Path) -> Iterator[int]:
    """A Redis that takes nobody but one user."""
    on = ground(directory / "redis", "redis")
    launch, port = LocalRedis().prepare(on.site), on.site.ports["redis"]
    escaped = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
    users = f'user default off\nuser {USER} on ~* &* +@all -@admin -@dangerous ">{escaped}"\n'
    config = on.site.home / "redis.conf"
    config.write_text(config.read_text() + users)
    with running(launch, on.log, lambda: not _is_closed(port)):
        yield port


def _is_closed(port: int) -> bool:
    return asyncio.run(_unreachable(port))


async def _unreachable(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return True
    writer.close()
    return False


@asynccontextmanager
async def encrypted(port: int, authority: Authority, address: str = "127.0.0.1") -> AsyncIterator[int]:
    """Another port, where what goes to a server is encrypted: the bundled Redis was built without TLS. `address`: whom
    its certificate is for.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_carry(reader, inner_writer), _carry(inner_reader, writer), return_exceptions=True)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("before", address))
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


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

_LISTENERS = """
listeners=PLAINTEXT://127.0.0.1:{kafka},CONTROLLER://127.0.0.1:{kafka_controller},\
SCRAM://127.0.0.1:{scram},PLAIN://127.0.0.1:{plain},MUTUAL://127.0.0.1:{mutual}
advertised.listeners=PLAINTEXT://127.0.0.1:{kafka},\
SCRAM://127.0.0.1:{scram},PLAIN://127.0.0.1:{plain},MUTUAL://127.0.0.1:{mutual}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SCRAM:SASL_SSL,PLAIN:SASL_PLAINTEXT,MUTUAL:SSL
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={truststore}
listener.name.mutual.ssl.client.auth=required
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.scram.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.plain.sasl.enabled.mechanisms=PLAIN
listener.name.plain.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_playhead="plainly";
"""
SCRAM_PASSWORD = "scrambled"


@pytest.fixture(scope="module")
def brokers(directory: Path, authority: Authority) -> Iterator[dict[str, str]]:
    """A broker with a listener for each way in: by name, where it is."""
    on = ground(directory / "kafka", "kafka", "kafka_controller", "scram", "plain", "mutual", needs_java=True)
    home, ports = on.site.home, on.site.ports
    data = home / "data"
    data.mkdir(parents=True)
    properties = written(home / "server.properties", server_properties(data, ports["kafka"], ports["kafka_controller"]))
    scram = f"SCRAM-SHA-512=[name={USER},password={SCRAM_PASSWORD}]"
    tool = (str(on.site.jre), "-cp", f"{on.site.resolved('kafka')}/*", "kafka.tools.StorageTool", "format")
    run_once((*tool, "-t", cluster_id(data), "-c", str(properties), "--add-scram", scram), what="Formatting")
    launch = LocalKafka().prepare(on.site)
    certificate, key = authority.issue("kafka")
    keystore = written(directory / "keystore.pem", key.read_text() + certificate.read_text())
    listeners = _LISTENERS.format(**ports, keystore=keystore, truststore=authority.file)
    kept = [line for line in properties.read_text().splitlines() if "listeners=" not in line]
    properties.write_text("\n".join(line for line in kept if "protocol.map" not in line) + listeners)
    with running(launch, on.log, lambda: probes.kafka_serves(ports["kafka"])):
        yield {name: f"127.0.0.1:{port}" for name, port in ports.items()}


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

_SECURE_CASSANDRA = """
authenticator: PasswordAuthenticator
client_encryption_options:
  enabled: true
  optional: false
  keystore: {keystore}
  keystore_password: keystore
  store_type: PKCS12
  require_client_auth: false
"""


@pytest.fixture(scope="module")
def cassandra_port(directory: Path, authority: Authority) -> Iterator[int]:
    """A node that takes nobody without TLS and a password; its first user is Cassandra's own."""
    on = ground(directory / "cassandra", "cassandra", "cassandra_storage", needs_java=True)
    launch, port = LocalCassandra().prepare(on.site), on.site.ports["cassandra"]
    certificate, key = (file.read_bytes() for file in authority.issue("cassandra"))
    store = pkcs12.serialize_key_and_certificates(
        b"node",
        load_pem_private_key(key, None),  # type: ignore[arg-type]  # an elliptic curve's
        load_pem_x509_certificate(certificate),
        None,
        BestAvailableEncryption(b"keystore"),
    )
    keystore = directory / "cassandra.p12"
    keystore.write_bytes(store)
    config = on.site.home / "cassandra.yaml"
    config.write_text(config.read_text() + _SECURE_CASSANDRA.format(keystore=keystore))
    first = ("-Dcassandra.superuser_setup_delay_ms=0",)
    command = (*launch.command[:1], *first, *launch.command[1:])
    with running(type(launch)(command, launch.directory), on.log, lambda: not _is_closed(port)):
        yield port


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
