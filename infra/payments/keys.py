"""The secrets shared with the payment provider: the API key that we show it, and what it signs its webhooks with.

Files that settings name must be there. The development ones are made on first use in the keys directory, where the
fake provider finds the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from infra.ids import new_secret
from infra.key_files import read_or_create
from infra.settings import Settings

SECRETS_MAX = 5


@dataclass(frozen=True)
class PaymentKeys:
    """Never logged: a repr does not show them. `webhook_secrets` are several while they are rotated, newest first."""

    api_key: str = field(repr=False)
    webhook_secrets: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def load(cls, settings: Settings) -> "PaymentKeys":
        """The keys of an installation. Raises OSError for a named file that is not there, ValueError for an empty
        one."""
        api_key = _read(settings.payments_api_key_path, settings.payments_api_key_file, _new_api_key)
        secrets = _read(settings.payments_webhook_secrets_path, settings.payments_webhook_secrets_file, _new_secret)
        return cls(api_key[0].decode("ascii"), tuple(secrets[:SECRETS_MAX]))


def _read(path: Path, named: Path | None, create: Callable[[], bytes]) -> list[bytes]:
    text = path.read_bytes() if named else read_or_create(path, create)
    lines = text.split()
    if not lines:
        raise ValueError(f"{path} holds no key")
    return lines


def _new_api_key() -> bytes:
    return b"pk_dev_" + new_secret().hex().encode()


def _new_secret() -> bytes:
    return b"whsec_dev_" + new_secret().hex().encode()
