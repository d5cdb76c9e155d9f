"""Nothing that looks like a secret gets into a log line, however it was logged."""

import json
import logging

import pytest
import structlog

from infra.redaction import GONE, redacted
from infra.settings import Settings
from infra.telemetry import configure_logs

JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("phr.0199.7.Zm9vYmFy_-", "Zm9vYmFy"),
        ("the key phk_0199-ab_Zm9vYmFy_1a2b was not taken", "Zm9vYmFy"),
        (f"expired: {JWT}", "c2lnbmF0dXJl"),
        (f"Authorization: Bearer {JWT}", "c2lnbmF0dXJl"),
        ("authorization=Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("cannot connect to postgresql://playhead:hunter2@db/playhead", "hunter2"),
        ("rediss://:hunter2@redis:6379", "hunter2"),
        ("postgresql://us:p@ss:w/rd@db", "p@ss"),
        ('{"password": "hunter2", "email": "x"}', "hunter2"),
        ("password=hunter2&next=/", "hunter2"),
        ("{'refresh_token': 'abcdef'}", "abcdef"),
        ("smtp_password: hunter2", "hunter2"),
        ("client_secret=hunter2", "hunter2"),
        ("pin=1234", "1234"),
        ("mail to kim.minji+tv@example.co.kr failed", "minji"),
        ("Set-Cookie: session=abcdef; Path=/", "abcdef"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in redacted(text)
    assert GONE in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "relay_started",
        "store failed: ConnectionRefusedError(111, \"Connect call failed ('127.0.0.1', 5432)\")",
        "identity.account-01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d:12",
        "the token expired",
        "catalog.events:3:120",
        "GET /v1/accounts/household-1/entitlements 200",
        "postgresql://playhead@127.0.0.1:5432/playhead",
        "password=None",
    ],
)
def test_what_says_what_happened_stays(text: str) -> None:
    assert redacted(text) == text


def test_log_lines_of_ours_and_of_libraries_are_cleared_with_their_tracebacks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = structlog.get_config()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logs(Settings())
        structlog.get_logger().warning("refused", token="abc-def", request={"password": "hunter2", "seq": 7}, why=[JWT])
        try:
            raise ValueError(f"bad token {JWT}")
        except ValueError:
            structlog.get_logger().exception("broken")
            logging.getLogger("library").exception("of %s", "redis://:hunter2@redis")
    finally:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)
    written = capsys.readouterr().err
    lines = [json.loads(line) for line in written.splitlines()]
    assert not [secret for secret in ("abc-def", "hunter2", "c2lnbmF0dXJl") if secret in written]
    assert lines[0]["request"] == {"password": GONE, "seq": 7}
    assert [line["event"] for line in lines] == ["refused", "broken", f"of redis://:{GONE}@redis"]
    assert all("ValueError" in line["exception"] for line in lines[1:])
