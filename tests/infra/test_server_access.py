"""Settings of the servers: what cannot work is refused at the start, and passwords are never shown."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from infra.server_access import ServerAccess, without_password
from infra.settings import Settings

SECRET = "correct horse"


OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
PLACES = {"kafka_bootstrap", "cassandra_host", "cassandra_port", "cassandra_keyspace"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    return path


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"kafka_security_protocol": "SASL_SSL"}, "needs kafka_username and kafka_password_file"),
        (
            {"kafka_security_protocol": "SASL_SSL", "kafka_username": "us"},
            "kafka_username and its password go together",
        ),
        ({"kafka_username": "us", "kafka_password": SECRET}, "kafka_username is of no use without"),
        ({"kafka_password": SECRET}, "kafka_username and its password go together"),
        ({"kafka_ca_file": "FILE"}, "kafka_ca_file is of no use without kafka_security_protocol SSL"),
        ({"kafka_sasl_mechanism": "GSSAPI"}, "kafka_sasl_mechanism"),
        ({"kafka_security_protocol": "SSL", "kafka_certificate_file": "FILE"}, "go together"),
        ({"cassandra_username": "us"}, "cassandra_username and its password go together"),
        ({"cassandra_ca_file": "FILE"}, "cassandra_ca_file is of no use without cassandra_tls"),
        ({"redis_username": "us"}, "redis_username needs redis_password_file"),
        ({"redis_ca_file": "FILE"}, "redis_ca_file is of no use without a redis_url that begins with rediss://"),
        ({"redis_url": f"redis://:{SECRET}@redis", "redis_password": "x"}, "redis has more than one password"),
        ({"postgres_password": SECRET, "postgres_password_file": "FILE"}, "postgres has more than one password"),
        (
            {"postgres_dsn": f"postgresql://us:{SECRET}@db/it", "postgres_password_file": "FILE"},
            "more than one password",
        ),
        ({"postgres_password_file": "/nowhere"}, "postgres_password_file: /nowhere cannot be read"),
        ({"postgres_password_file": "EMPTY"}, "is empty"),
    ],
)
def test_what_cannot_work_is_refused_by_name_and_without_showing_what_was_given(
    file: Path, given: dict[str, str], problem: str
) -> None:
    empty = file.with_name("empty")
    empty.touch()
    files = {"FILE": str(file), "EMPTY": str(empty)}
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate({name: files.get(value, value) for name, value in given.items()})
    assert problem in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_password_is_read_from_its_file_each_time_without_the_end_of_its_line(file: Path) -> None:
    settings = Settings(kafka_security_protocol="SASL_SSL", kafka_username="us", kafka_password_file=file)
    assert settings.kafka_secret() == SECRET
    file.write_text(" changed \r\n")
    assert settings.kafka_secret() == " changed "


def test_settings_do_not_show_their_passwords() -> None:
    settings = Settings(
        postgres_dsn=f"postgresql://us:{SECRET}@db/it",
        redis_url=f"rediss://us:{SECRET}@redis/0",
        cassandra_username="us",
        cassandra_password=SECRET,
    )
    assert settings.cassandra_secret() == SECRET
    for shown in (repr(settings), str(settings), f"{settings.cassandra_password}"):
        assert SECRET not in shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://us:secret@db:5432/it?password=secret", "postgresql://us@db:5432/it"),
        ("postgresql://us@db/it", "postgresql://us@db/it"),
        ("rediss://:secret@redis:6379/0", "rediss://@redis:6379/0"),
        ("redis://redis", "redis://redis"),
        ("postgresql://us:p@ss@[::1]:5432/it", "postgresql://us@[::1]:5432/it"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    assert without_password(address) == shown


@pytest.mark.parametrize("name", sorted(ServerAccess.model_fields.keys() - PLACES))
def test_every_way_into_a_server_is_documented(name: str) -> None:
    assert name.upper() in re.findall(r"[A-Z_]+", OPERATIONS.read_text())


def test_the_command_line_says_which_setting_is_wrong_and_not_what_it_was(tmp_path: Path) -> None:
    wrong = {"PLAYHEAD_KAFKA_PASSWORD": SECRET, "PLAYHEAD_PROBE_PORT": SECRET, "PLAYHEAD_STATE_DIR": str(tmp_path)}
    others = {name: value for name, value in os.environ.items() if not name.startswith("PLAYHEAD_")}
    done = subprocess.run(
        (sys.executable, "-m", "playhead", "relay"),
        env={**others, **wrong},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "PLAYHEAD_PROBE_PORT" in said
    assert SECRET not in said
    assert "Traceback" not in said
