"""Personal values in events and rows: encrypted under a key for each person, so that destroying the key erases them
from the log, from Kafka, from the archive and from every view at once, and history stays whole.

The keys are in Postgres (person_key), wrapped by the installation's master key. Both sides read them: commands seal,
queries open. A person is an account.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from events.types import Sealed
from infra.ids import new_secret
from infra.key_files import read_or_create
from infra.settings import Settings

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
VERSION: Final = "p1"


class PersonKey:
    """The key of one person. Sealing a value again gives the same text, so that a command that comes twice is
    recognised: the nonce is a keyed digest of what is sealed.
    """

    def __init__(self, secret: bytes, person_id: str) -> None:
        self._cipher = AESGCM(secret)
        self._nonce_key = hmac.digest(secret, b"nonce", hashlib.sha256)
        self._person_id = person_id.encode()

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


class MasterKey:
    """The installation's key: wraps the keys of persons, and makes the blind index by which an address is found."""

    def __init__(self, secret: bytes) -> None:
        self._secret = hmac.digest(secret, b"wrap", hashlib.sha256)
        self._index = hmac.digest(secret, b"index", hashlib.sha256)

    @classmethod
    def load(cls, settings: Settings) -> "MasterKey":
        """The key in the keys directory, made there on first use."""
        return cls(read_or_create(settings.keys_path / "personal_data.master", new_secret))

    def new_person(self, person_id: str) -> tuple[PersonKey, bytes]:
        """A new person's key, and the bytes that person_key.wrapped holds."""
        secret = new_secret(KEY_BYTES)
        nonce = new_secret(NONCE_BYTES)
        wrapped = nonce + AESGCM(self._secret).encrypt(nonce, secret, person_id.encode())
        return PersonKey(secret, person_id), wrapped

    def unwrap(self, wrapped: bytes | None, person_id: str) -> PersonKey | None:
        """A person's key; None for one that was destroyed. Raises cryptography's InvalidTag for another's."""
        if wrapped is None:
            return None
        secret = AESGCM(self._secret).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], person_id.encode())
        return PersonKey(secret, person_id)

    def seal(self, text: str) -> bytes:
        """A value under the master key itself, for what waits and is then deleted: mail, unproved registrations."""
        nonce = new_secret(NONCE_BYTES)
        return nonce + AESGCM(self._secret).encrypt(nonce, text.encode(), b"")

    def open(self, sealed: bytes) -> str:
        """A value that seal() made. Raises cryptography's InvalidTag."""
        return AESGCM(self._secret).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], b"").decode()

    def digest(self, text: str) -> bytes:
        """A blind index: equal for equal texts, and of no use to who has only the database."""
        return hmac.digest(self._index, text.encode(), hashlib.sha256)
