"""The search for secrets finds them: test_demo.py relies on it after an evening with real tokens."""

from base64 import b64encode
from pathlib import Path

import pytest

from tests.e2e.run_secrets import Heard, leaks, secrets_in

JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0xMjM0.c2lnbmF0dXJl"
KEY = bytes(range(200, 232))


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    for name in ("commands", "query-api", "relay", "postgres"):
        log = tmp_path / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        log.write_text('{"event": "started"}\n')
    keys, mail = tmp_path / "keys" / "internal", tmp_path / "mail"
    keys.mkdir(parents=True)
    mail.mkdir()
    (keys / "1.a.hmac").write_bytes(KEY)
    (tmp_path / "keys" / "payments.api_key").write_text("sk_test_0123456789\n")
    (mail / "1.eml").write_text("From: p@x.example\nTo: ada@home.example\n\nFollow this:\nAbCdEfGhIjKlMnOpQrStUvWx\n")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f"bad key {KEY!r}", "key"),
        (f"bad key {KEY.hex()}", "key"),
        (f"bad key {b64encode(KEY).decode()}", "key"),
        ("paid with sk_test_0123456789", "key"),
        ("no mail to ada@home.example", "address"),
        ("unknown token AbCdEfGhIjKlMnOpQrStUvWx", "one-time token"),
        ("'password': 'correct horse'", "password"),
        ("refresh opaque-refresh-0123", "refresh_token"),
        (f"expired {JWT}", "what looks like a secret"),
        ("revoked phk_0199abcdef_secret", "what looks like a secret"),
    ],
)
def test_a_secret_in_a_log_is_found_and_named_by_its_kind_alone(state_dir: Path, line: str, what: str) -> None:
    heard = Heard()
    heard.body(b'{"email": "ada@home.example", "password": "correct horse", "seq": 1}')
    heard.body(b"grant_type=refresh_token&refresh_token=opaque-refresh-0123")
    secrets = heard.said | secrets_in(state_dir)
    assert leaks(state_dir, secrets) == []
    with (state_dir / "logs" / "relay.log").open("a") as log:
        log.write(line)
    found = leaks(state_dir, secrets)
    assert f"{what} in relay.log" in found
    assert leaks(state_dir, secrets, more=line) != found
