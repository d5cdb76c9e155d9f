"""Personal values in events and rows: encrypted under a key for each person, so that destroying the key erases them
from the log, from Kafka, from the archive and from every view at once, and history stays whole.

The keys are in Postgres (person_key), wrapped by the installation's master key, of which there are several while it is
changed (ADR 29). Both sides read them: commands seal, queries open. A person is an account.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from events.types import Sealed
from infra.access.keyring import MASTER, Keyring, RingKey
from infra.clock import Clock, utc_now
from infra.ids import new_secret
from infra.key_files import read_or_create
from infra.settings import Settings

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
VERSION: Final = "p1"
SEALED: Final = re.compile(rf"{VERSION}\.[A-Za-z0-9_-]{{38,}}=*")
"""What a Sealed value looks like: a nonce and a tag of AES-GCM at the least."""
SEALED_MAX_CHARS: Final = 500
"""Of a Sealed value where events bound text (events.types.Text)."""
BOX: Final = re.compile(rb"m1\.([0-9A-Za-z_-]{16})\.", re.DOTALL)
BOX_CHARS: Final = 20
"""How what a master key sealed begins: with the kid of that key. What was sealed before keys had kids does not."""


class MasterKeyUnknown(InvalidTag):
    """It was sealed by a master key that is not in the ring."""


class IndexKeyLost(RuntimeError):
    """There are master keys, and not the key by which addresses are found."""


class PersonKey:
    """The key of one person. Sealing a value again gives the same text, so that a command that comes twice is
    recognised: the nonce is a keyed digest of what is sealed.
    """

    def __init__(self, secret: bytes, person_id: str) -> None:
        self._cipher = AESGCM(secret)
        self._nonce_key = hmac.digest(secret, b"nonce", hashlib.sha256)
        self._person_id = person_id.encode()
        self.fingerprint = hmac.digest(secret, b"fingerprint", hashlib.sha256).hex()[:32]
        """What tells one key from another and nothing of either; the same under every master key."""

    def seal(self, text: str) -> Sealed:
        """The value as events and rows hold it."""
        plain = text.encode()
        nonce = hmac.digest(self._nonce_key, plain, hashlib.sha256)[:NONCE_BYTES]
        sealed = nonce + self._cipher.encrypt(nonce, plain, self._person_id)
        return Sealed(f"{VERSION}.{urlsafe_b64encode(sealed).decode()}")

    def open(self, sealed: str) -> str | None:
        """The value; None for one that was sealed for somebody else, or was changed."""
        version, _, text = sealed.partition(".")
        if version != VERSION:
            return None
        try:
            box = urlsafe_b64decode(text)
            return self._cipher.decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], self._person_id).decode()
        except (InvalidTag, ValueError):
            return None


def fitting(text: str, most_chars: int) -> str:
    """As much of a text as its Sealed value can hold in so many characters."""
    most_bytes = (most_chars - len(VERSION) - 1) // 4 * 3 - NONCE_BYTES - TAG_BYTES
    return text.encode()[:most_bytes].decode(errors="ignore")


class Ring(Protocol):
    """Where master keys come from: the newest first."""

    def known(self) -> tuple[RingKey[bytes], ...]:
        """All of them."""

    def signing(self) -> RingKey[bytes]:
        """The one that seals: the newest that every process knows."""

    def find(self, kid: str) -> bytes | None:
        """The key of a kid."""


class MasterKey:
    """The installation's key: wraps the keys of persons, seals what waits, and makes the blind index by which an
    address is found. It is one of a ring, and what it sealed names it; the index has a key of its own, which stays.
    """

    def __init__(self, ring: Ring, index: bytes) -> None:
        self.ring = ring
        self._index = index

    @classmethod
    def load(cls, settings: Settings, clock: Clock = utc_now) -> "MasterKey":
        """The keys of an installation, made on first use. Raises IndexKeyLost."""
        index = _index(settings.master_keys_path)  # first: the ring takes the only key that there was before rings
        return cls(Keyring(MASTER, settings, clock, beside=settings.master_keys_path), index)

    @classmethod
    def alone(cls, secret: bytes) -> "MasterKey":
        """One that is in no file and never changes."""
        return cls(_One(secret), hmac.digest(secret, b"index", hashlib.sha256))

    def new_person(self, person_id: str) -> tuple[PersonKey, bytes]:
        """A new person's key, and the bytes that person_key.wrapped holds."""
        secret = new_secret(KEY_BYTES)
        return PersonKey(secret, person_id), self._boxed(secret, person_id.encode())

    def unwrap(self, wrapped: bytes | None, person_id: str) -> PersonKey | None:
        """A person's key; None for one that was destroyed. Raises cryptography's InvalidTag for another's, and
        MasterKeyUnknown."""
        return None if wrapped is None else PersonKey(self._unboxed(wrapped, person_id.encode()), person_id)

    def seal(self, text: str) -> bytes:
        """A value under the master key itself, for what waits and is then deleted: mail, unproved registrations."""
        return self._boxed(text.encode(), b"")

    def open(self, sealed: bytes) -> str:
        """A value that seal() made. Raises cryptography's InvalidTag, and MasterKeyUnknown."""
        return self._unboxed(sealed, b"").decode()

    def sealed_again(self, box: bytes, person_id: str | None = None) -> bytes:
        """What a master key of the ring sealed, under the one that seals now. `person_id`: whose key it is, if it is
        one. Raises as open() does."""
        bound_to = (person_id or "").encode()
        return self._boxed(self._unboxed(box, bound_to), bound_to)

    def digest(self, text: str) -> bytes:
        """A blind index: equal for equal texts, and of no use to who has only the database."""
        return hmac.digest(self._index, text.encode(), hashlib.sha256)

    def _boxed(self, plain: bytes, bound_to: bytes) -> bytes:
        key, nonce = self.ring.signing(), new_secret(NONCE_BYTES)
        return prefix_of(key.kid) + nonce + _cipher(key.value).encrypt(nonce, plain, bound_to)

    def _unboxed(self, box: bytes, bound_to: bytes) -> bytes:
        named = BOX.match(box)
        if named is None:
            return self._of_any(box, bound_to)
        kid, content = named[1].decode(), box[BOX_CHARS:]
        key = self.ring.find(kid)
        if key is None:
            raise MasterKeyUnknown(f"it was sealed by master key {kid}, which is not here")
        return _cipher(key).decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], bound_to)

    def _of_any(self, box: bytes, bound_to: bytes) -> bytes:
        """Of what names no key: the oldest sealed it, while it was the only one."""
        oldest = self.ring.known()[-1].value
        return _cipher(oldest).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], bound_to)


def prefix_of(kid: str) -> bytes:
    """How what this master key sealed begins."""
    return b"m1." + kid.encode() + b"."


class _One:
    def __init__(self, secret: bytes) -> None:
        self._key = RingKey(MASTER.kid_of(secret), utc_now(), secret)

    def known(self) -> tuple[RingKey[bytes], ...]:
        return (self._key,)

    def signing(self) -> RingKey[bytes]:
        return self._key

    def find(self, kid: str) -> bytes | None:
        return self._key.value if kid == self._key.kid else None


def _cipher(secret: bytes) -> AESGCM:
    return AESGCM(hmac.digest(secret, b"wrap", hashlib.sha256))


def _index(directory: Path) -> bytes:
    """The key of the blind index. It began as one derived from the only master key, of installations that had one."""
    path, old = directory / "personal_data.index", directory / MASTER.old_file
    if (directory / MASTER.name).is_dir() and not path.exists():  # in this order: whoever makes the ring made it before
        raise IndexKeyLost(f"{path} is gone: bring it back from a backup, or nobody's address is found")

    def begun() -> bytes:
        try:
            return hmac.digest(old.read_bytes(), b"index", hashlib.sha256)
        except FileNotFoundError:
            return new_secret()

    return read_or_create(path, begun)
