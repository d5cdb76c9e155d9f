"""The native servers, one at a time, as an operator would run them: encrypted, and with users who have passwords."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.local import processes
from infra.local.accounts import unprivileged_account
from infra.local.artefacts import Artefacts
from infra.local.errors import last_log_lines
from infra.local.java import find_java
from infra.local.platforms import this_platform
from infra.local.ports import free_port
from infra.local.processes import Launch
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
