"""Rings of signing keys: the newest signs, all verify, so that a key is changed without logging anybody out.

A ring is a directory with a file for each key, <made at, epoch ms>.<kid>.<suffix>: <keys_dir>/access for access tokens
(Ed25519), <keys_dir>/internal for what only Playhead reads back (HMAC), master for what seals persons' keys
(infra/personal_data.py). `playhead keys` adds and removes files, and running processes notice. A kid is the key's RFC
7638 thumbprint, or the beginning of it.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from infra.clock import Clock, utc_now
from infra.ids import new_secret
from infra.key_files import place, place_directory
from infra.settings import Settings
from infra.telemetry import log

INTERNAL_KID_CHARS: Final = 16  # it travels with every report, and with every wrapped key
_NAME: Final = re.compile(r"(\d{1,15})\.([0-9A-Za-z_-]{1,64})\.(\w+)")

K = TypeVar("K")


@dataclass(frozen=True)
class RingKey(Generic[K]):
    """A key of a ring. Never logged: a repr does not show its value."""

    kid: str
    made_at: datetime
    value: K = field(repr=False)


@dataclass(frozen=True)
class KeyKind(Generic[K]):
    """What a ring's keys are. `old_file`: where an installation had its only key before there were rings."""

    name: str
    suffix: str
    old_file: str
    create: Callable[[], bytes]
    read: Callable[[bytes], K]
    kid_of: Callable[[K], str]


class Keyring(Generic[K]):
    """The keys of one kind, as a process knows them; it looks at the directory again every settings.keys_reload_s at
    most, so that it costs nothing to ask for keys that are not there.
    """

    def __init__(
        self, kind: KeyKind[K], settings: Settings, clock: Clock = utc_now, *, beside: Path | None = None
    ) -> None:
        """`beside`: the directory that holds the ring's; None: where signing keys are."""
        self.kind = kind
        self.directory = (beside or settings.keys_path) / kind.name
        self.lost = 0
        self._clock = clock
        self._reload_s = settings.keys_reload_s
        self._announced = timedelta(seconds=settings.keys_announced_s)
        self._keys = self._read()
        self._looked_at_s = clock().timestamp()

    def known(self) -> tuple[RingKey[K], ...]:
        """All of them, the newest first."""
        self.look(self._clock().timestamp())
        return self._keys

    def signing(self) -> RingKey[K]:
        """The newest that was announced for settings.keys_announced_s, so that whoever verifies knows it by now."""
        keys, since = self.known(), self._clock() - self._announced
        return next((key for key in keys if key.made_at <= since), keys[-1])

    def values(self) -> tuple[K, ...]:
        """What may have made something that does not name its key; the one that signs comes first."""
        signing = self.signing()
        return (signing.value, *(key.value for key in self._keys if key != signing))

    def find(self, kid: str) -> K | None:
        """The key of a kid."""
        return next((key.value for key in self.known() if key.kid == kid), None)

    def look(self, now_s: float) -> None:
        """Notice keys that came and went, if it is time. `lost` counts how often some went."""
        if 0 <= now_s - self._looked_at_s < self._reload_s:
            return
        self._looked_at_s = now_s
        try:
            keys = self._read()
        except (OSError, ValueError) as error:
            log.warning("keys cannot be read; going on with those known", keys=self.kind.name, error=repr(error))
            return
        if {key.kid for key in self._keys} - {key.kid for key in keys}:
            self.lost += 1
        self._keys = keys

    def add(self) -> RingKey[K]:
        """Make one more key, which all who verify get to know before it signs."""
        content = self.kind.create()
        made_at = max(self._clock(), self.known()[0].made_at + timedelta(milliseconds=1))
        place(self.directory / self._name(content, made_at), content)
        self._keys = self._read()
        return self._keys[0]

    def remove(self, kid: str) -> None:
        """Take a key away. Raises KeyError for one that is not there."""
        paths = [path for path in self.directory.iterdir() if (name := _NAME.fullmatch(path.name)) and name[2] == kid]
        if not paths:
            raise KeyError(kid)
        for path in paths:
            path.unlink()
        self._keys = self._read()

    def _read(self) -> tuple[RingKey[K], ...]:
        return self._there() or self._begun()

    def _begun(self) -> tuple[RingKey[K], ...]:
        old = self.directory.with_name(self.kind.old_file)
        try:
            content, made_at = old.read_bytes(), datetime.fromtimestamp(old.stat().st_mtime, UTC)
        except FileNotFoundError:
            content, made_at = self.kind.create(), self._clock()
        place_directory(self.directory, self._name(content, made_at), content)
        old.unlink(missing_ok=True)
        return self._there()

    def _there(self) -> tuple[RingKey[K], ...]:
        if not self.directory.is_dir():
            return ()
        names = [name for path in self.directory.iterdir() if (name := _NAME.fullmatch(path.name))]
        keys = [self._key(name) for name in names if name[3] == self.kind.suffix]
        return tuple(sorted(keys, key=lambda key: (key.made_at, key.kid), reverse=True))

    def _key(self, name: re.Match[str]) -> RingKey[K]:
        value = self.kind.read((self.directory / name[0]).read_bytes())
        return RingKey(name[2], datetime.fromtimestamp(int(name[1]) / 1000, UTC), value)

    def _name(self, content: bytes, made_at: datetime) -> str:
        kid = self.kind.kid_of(self.kind.read(content))
        return f"{round(made_at.timestamp() * 1000)}.{kid}.{self.kind.suffix}"


def public_jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """The public half as RFC 8037 writes it: what a thumbprint is of."""
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(key.public_key().public_bytes_raw())}


def _thumbprint(jwk: dict[str, str]) -> str:
    return _base64url(sha256(msgspec.json.encode(jwk, order="sorted")).digest())


def _base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _new_pem() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _read_pem(content: bytes) -> Ed25519PrivateKey:
    key = load_pem_private_key(content, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("access tokens are signed with Ed25519 keys")
    return key


ACCESS: Final = KeyKind(
    "access", "pem", "access.ed25519.pem", _new_pem, _read_pem, lambda key: _thumbprint(public_jwk(key))
)


def _kid_of_secret(key: bytes) -> str:
    return _thumbprint({"k": _base64url(key), "kty": "oct"})[:INTERNAL_KID_CHARS]


INTERNAL: Final = KeyKind("internal", "hmac", "internal.hmac", new_secret, bytes, _kid_of_secret)
MASTER: Final = KeyKind("master", "aes", "personal_data.master", new_secret, bytes, _kid_of_secret)
