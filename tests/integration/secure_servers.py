"""The native servers, one at a time, as an operator would run them: encrypted, and with users who have passwords."""

import asyncio
import os
import shutil
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import asyncpg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12
from cryptography.x509 import load_pem_x509_certificate
from cryptography.x509.oid import NameOID

from infra.local import probes, processes
from infra.local.accounts import unprivileged_account
from infra.local.artefacts import Artefacts
from infra.local.cassandra import Cassandra
from infra.local.errors import last_log_lines
from infra.local.java import find_java
from infra.local.kafka import Kafka, cluster_id, server_properties
from infra.local.platforms import this_platform
from infra.local.ports import free_port
from infra.local.postgres import Postgres, erase_home
from infra.local.processes import Launch, run_once
from infra.local.redis import Redis
from infra.local.server import Site
from infra.settings import load_settings

PATIENCE_S = 90.0
USER = "playhead"
PASSWORD = 'it\'s a "secret" \\ of ours'  # quotes and a backslash, as passwords have them


class Authority:
    """An authority for certificates, with files as servers and clients want them."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = (
            self._beginning(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, address: str = "127.0.0.1") -> tuple[Path, Path]:
        """A certificate for an address, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._beginning(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        files = self._directory / f"{name}.crt", self._directory / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        files[1].chmod(0o600)
        return files

    def _beginning(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
        )


@dataclass(frozen=True)
class Ground:
    """Where one server of a test stands."""

    site: Site
    log: Path


def ground(directory: Path, *port_names: str, needs_java: bool = False) -> Ground:
    """A new one, with a free port for each name."""
    settings, taken = load_settings(), set[int]()
    for _ in port_names:
        taken.add(free_port(directory, taken))
    java = find_java(settings.java_home) if needs_java else None
    platform = this_platform()
    artefacts = Artefacts(settings.cache_dir.absolute(), platform)
    ports = dict(zip(port_names, sorted(taken), strict=True))
    return Ground(Site(directory, ports, java, artefacts, platform, lambda _: None), directory.with_suffix(".log"))


@contextmanager
def running(launch: Launch, log: Path, serves: Callable[[], bool]) -> Iterator[None]:
    """A server, from when it serves."""
    mark = processes.spawn(launch, log)
    try:
        deadline_s = time.monotonic() + PATIENCE_S
        while not serves():
            assert processes.is_running(mark) and time.monotonic() < deadline_s, last_log_lines(log)
            time.sleep(0.05)
        yield
    finally:
        processes.stop(mark, PATIENCE_S)


def more(launch: Launch, *arguments: str) -> Launch:
    """The same launch with more arguments."""
    return replace(launch, command=(*launch.command, *arguments))


def own(account_files: tuple[Path, ...]) -> None:
    """Give files to the account that Postgres runs as."""
    account = unprivileged_account()
    if account is not None:
        for file in account_files:
            os.chown(file, account.uid, account.gid)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@contextmanager
def secured_postgres(directory: Path, authority: Authority) -> Iterator[str]:
    """A Postgres that takes nobody without TLS and a password."""
    on = ground(directory / "postgres", "postgres")
    launch, port = Postgres().prepare(on.site), on.site.ports["postgres"]
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


@contextmanager
def secured_redis(directory: Path) -> Iterator[int]:
    """A Redis that takes nobody but one user."""
    on = ground(directory / "redis", "redis")
    launch, port = Redis().prepare(on.site), on.site.ports["redis"]
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


@contextmanager
def secured_kafka(directory: Path, authority: Authority) -> Iterator[dict[str, str]]:
    """A broker with a listener for each way in: by name, where it is."""
    on = ground(directory / "kafka", "kafka", "kafka_controller", "scram", "plain", "mutual", needs_java=True)
    home, ports = on.site.home, on.site.ports
    data = home / "data"
    data.mkdir(parents=True)
    properties = written(home / "server.properties", server_properties(data, ports["kafka"], ports["kafka_controller"]))
    scram = f"SCRAM-SHA-512=[name={USER},password={SCRAM_PASSWORD}]"
    tool = (str(on.site.jre), "-cp", f"{on.site.resolved('kafka')}/*", "kafka.tools.StorageTool", "format")
    run_once((*tool, "-t", cluster_id(data), "-c", str(properties), "--add-scram", scram), what="Formatting")
    launch = Kafka().prepare(on.site)
    certificate, key = authority.issue("kafka")
    keystore = written(directory / "keystore.pem", key.read_text() + certificate.read_text())
    listeners = _LISTENERS.format(**ports, keystore=keystore, truststore=authority.file)
    kept = [line for line in properties.read_text().splitlines() if "listeners=" not in line]
    properties.write_text("\n".join(line for line in kept if "protocol.map" not in line) + listeners)
    with running(launch, on.log, lambda: probes.kafka_serves(ports["kafka"])):
        yield {name: f"127.0.0.1:{port}" for name, port in ports.items()}


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


@contextmanager
def secured_cassandra(directory: Path, authority: Authority) -> Iterator[int]:
    """A node that takes nobody without TLS and a password; its first user is Cassandra's own."""
    on = ground(directory / "cassandra", "cassandra", "cassandra_storage", needs_java=True)
    launch, port = Cassandra().prepare(on.site), on.site.ports["cassandra"]
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
