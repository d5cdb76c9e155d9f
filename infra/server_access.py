"""How the four servers are reached: where they are, who connects, by which password, and whose certificate holds.

A part of Settings. A password is in the environment or, better, in a file of its own; neither is ever printed. A file
is read each time that a connection is made with it, so that a password can change while processes run.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

KafkaSecurity = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
KafkaMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
SERVERS = ("kafka", "postgres", "cassandra", "redis")


class ServerAccess(BaseSettings):
    """Addresses, users, passwords and certificates."""

    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_security_protocol: KafkaSecurity = "PLAINTEXT"
    kafka_sasl_mechanism: KafkaMechanism = "SCRAM-SHA-512"
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_password_file: Path | None = None
    kafka_ca_file: Path | None = Field(default=None, description="default: the authorities of the system")
    kafka_certificate_file: Path | None = Field(default=None, description="our own, where the brokers ask for one")
    kafka_certificate_key_file: Path | None = None

    postgres_dsn: str = Field(
        default="postgresql://playhead@127.0.0.1:5432/playhead",
        repr=False,
        description="libpq's: sslmode=verify-full&sslrootcert=FILE, sslcert and sslkey are taken from it",
    )
    postgres_password: SecretStr | None = None
    postgres_password_file: Path | None = None

    cassandra_host: str = "127.0.0.1"
    cassandra_port: int = 9042
    cassandra_keyspace: str = "playhead"
    cassandra_username: str | None = None
    cassandra_password: SecretStr | None = None
    cassandra_password_file: Path | None = None
    cassandra_tls: bool = False
    cassandra_ca_file: Path | None = Field(default=None, description="default: the authorities of the system")
    cassandra_check_hostname: bool = True
    cassandra_certificate_file: Path | None = Field(default=None, description="our own, where the nodes ask for one")
    cassandra_certificate_key_file: Path | None = None

    redis_url: str = Field(default="redis://127.0.0.1:6379/0", repr=False, description="rediss://... for TLS")
    redis_username: str | None = None
    redis_password: SecretStr | None = None
    redis_password_file: Path | None = None
    redis_ca_file: Path | None = Field(default=None, description="default: the authorities of the system")
    redis_certificate_file: Path | None = Field(default=None, description="our own, where Redis asks for one")
    redis_certificate_key_file: Path | None = None

    @property
    def kafka_uses_tls(self) -> bool:
        """Whether Kafka's listener is an encrypted one."""
        return self.kafka_security_protocol.endswith("SSL")

    @property
    def kafka_uses_sasl(self) -> bool:
        """Whether Kafka asks for a user."""
        return self.kafka_security_protocol.startswith("SASL")

    @property
    def redis_uses_tls(self) -> bool:
        """Whether Redis is reached encrypted."""
        return self.redis_url.startswith("rediss://")

    def kafka_secret(self) -> str | None:
        """Kafka's password now."""
        return _secret(self.kafka_password, self.kafka_password_file)

    def postgres_secret(self) -> str | None:
        """Postgres's password now, unless it is in the DSN."""
        return _secret(self.postgres_password, self.postgres_password_file)

    def cassandra_secret(self) -> str | None:
        """Cassandra's password now."""
        return _secret(self.cassandra_password, self.cassandra_password_file)

    def redis_secret(self) -> str | None:
        """Redis's password now, unless it is in the URL."""
        return _secret(self.redis_password, self.redis_password_file)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """Refuse at the start what would fail, or be silently less than was asked for, at the first connection."""
        problems = [*self._unreadable(), *self._contradicting(), *self._incomplete()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _unreadable(self) -> Iterator[str]:
        for server in SERVERS:
            for kind in ("password_file", "ca_file", "certificate_file", "certificate_key_file"):
                name = f"{server}_{kind}"
                path: Path | None = getattr(self, name, None)
                if path is None:
                    continue
                try:
                    if not path.read_bytes().strip():
                        yield f"{name}: {path} is empty"
                except OSError as error:
                    yield f"{name}: {path} cannot be read ({error.strerror})"

    def _contradicting(self) -> Iterator[str]:
        in_address = {"postgres": urlsplit(self.postgres_dsn).password, "redis": urlsplit(self.redis_url).password}
        for server in SERVERS:
            passwords = (
                in_address.get(server),
                getattr(self, f"{server}_password"),
                getattr(self, f"{server}_password_file"),
            )
            if sum(each is not None for each in passwords) > 1:
                yield f"{server} has more than one password: keep {server}_password_file alone"
        unused = (
            ("kafka", self.kafka_uses_tls, "kafka_security_protocol SSL or SASL_SSL"),
            ("cassandra", self.cassandra_tls, "cassandra_tls"),
            ("redis", self.redis_uses_tls, "a redis_url that begins with rediss://"),
        )
        for server, encrypted, wanted in unused:
            for kind in ("ca_file", "certificate_file", "certificate_key_file"):
                if not encrypted and getattr(self, f"{server}_{kind}") is not None:
                    yield f"{server}_{kind} is of no use without {wanted}"

    def _incomplete(self) -> Iterator[str]:
        for server in ("kafka", "cassandra", "redis"):
            pair = [getattr(self, f"{server}_{kind}") for kind in ("certificate_file", "certificate_key_file")]
            if (pair[0] is None) != (pair[1] is None):
                yield f"{server}_certificate_file and {server}_certificate_key_file go together"
        for server in ("kafka", "cassandra"):
            username = getattr(self, f"{server}_username")
            password = getattr(self, f"{server}_password") or getattr(self, f"{server}_password_file")
            if (username is None) != (password is None):
                yield f"{server}_username and its password go together"
        if self.redis_username and not (self.redis_password or self.redis_password_file):
            yield "redis_username needs redis_password_file or redis_password"
        if self.kafka_uses_sasl != (self.kafka_username is not None):
            yield (
                f"kafka_security_protocol {self.kafka_security_protocol} needs kafka_username and kafka_password_file"
                if self.kafka_uses_sasl
                else "kafka_username is of no use without kafka_security_protocol SASL_SSL or SASL_PLAINTEXT"
            )


def _secret(given: SecretStr | None, file: Path | None) -> str | None:
    """A password. A file's last line may end; anything else in it belongs to the password."""
    if file is not None:
        return file.read_text().rstrip("\r\n")
    return given.get_secret_value() if given else None


def without_password(address: str) -> str:
    """A DSN or URL as it may be shown."""
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    shown = f"{user.partition(':')[0]}@{host}" if user else host
    return parts._replace(netloc=shown, query="", fragment="").geturl()
