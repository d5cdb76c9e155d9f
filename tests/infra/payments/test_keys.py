"""The secrets shared with the provider: made on first use, or read where settings say."""

import stat
from pathlib import Path

import pytest

from infra.payments.keys import PaymentKeys
from infra.settings import Settings


def test_development_keys_are_made_once_and_kept_private(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)

    assert PaymentKeys.load(settings) == PaymentKeys.load(settings)
    assert stat.S_IMODE(settings.payments_api_key_path.stat().st_mode) == 0o600


def test_a_repr_shows_no_secret(tmp_path: Path) -> None:
    keys = PaymentKeys.load(Settings(state_dir=tmp_path))
    assert keys.api_key not in repr(keys)
    assert str(keys.webhook_secrets[0]) not in repr(keys)


def test_secrets_are_lines_of_the_named_file(tmp_path: Path) -> None:
    named = tmp_path / "secrets"
    named.write_text("newest\nolder\n")
    settings = Settings(state_dir=tmp_path, payments_webhook_secrets_file=named)

    assert PaymentKeys.load(settings).webhook_secrets == (b"newest", b"older")


def test_a_named_file_that_is_missing_or_empty_is_not_made_up_for(tmp_path: Path) -> None:
    named = tmp_path / "key"
    settings = Settings(state_dir=tmp_path, payments_api_key_file=named)

    with pytest.raises(FileNotFoundError):
        PaymentKeys.load(settings)
    named.write_text("\n")
    with pytest.raises(ValueError, match="holds no key"):
        PaymentKeys.load(settings)
