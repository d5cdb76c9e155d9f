"""The keys that sign checkpoints, reports and proofs: a ring as those of tokens, in <keys_dir>/checkpoints. The public
halves of all that ever signed stay in <keys_dir>/checkpoints.public, and are published beside the checkpoints.

Whoever verifies trusts the halves in keys_dir, or those that they were given; never those that lie beside what they
verify.
"""

import dataclasses
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from infra.access.keyring import ACCESS, Keyring, RingKey, public_jwk
from infra.archive.files import Files
from infra.clock import Clock, utc_now
from infra.ids import new_id
from infra.key_files import place
from infra.settings import Settings

CHECKPOINTS: Final = dataclasses.replace(ACCESS, name="checkpoints", old_file="checkpoints.ed25519.pem")
PUBLISHED: Final = "checkpoints/keys"
NEWEST: Final = "newest"


class PublicKey(msgspec.Struct, frozen=True):
    """A public key as it is published: RFC 8037, with its thumbprint and when it was made."""

    key_id: str
    made_at: str
    crv: str
    kty: str
    x: str

    def verifies(self, signed: bytes, signature: str) -> bool:
        """Whether a signature (base64url) is this key's over these bytes."""
        try:
            Ed25519PublicKey.from_public_bytes(_bytes(self.x)).verify(_bytes(signature), signed)
        except (InvalidSignature, ValueError):
            return False
        return True


class SigningKeys:
    """The ring, and what is known of keys that were in it."""

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        self.ring: Keyring[Ed25519PrivateKey] = Keyring(CHECKPOINTS, settings, clock)
        self._halves = settings.keys_path / "checkpoints.public"

    def signing(self) -> RingKey[Ed25519PrivateKey]:
        """The key that signs now, its public half kept for good."""
        key = self.ring.signing()
        place(self._halves / f"{key.kid}.json", msgspec.json.encode(_public(key)))
        return key

    def trusted(self) -> dict[str, PublicKey]:
        """The public halves of all that may have signed, by their ids."""
        kept = read_public_keys(self._halves)
        return kept | {key.kid: _public(key) for key in self.ring.known()}

    def note_newest(self, number: int) -> None:
        """Keep the number of the newest checkpoint beside the keys, where who can write to the archive cannot."""
        draft = self._halves / f".{new_id()}"
        place(draft, b"%d\n" % max(number, self.newest()))
        draft.replace(self._halves / NEWEST)

    def newest(self) -> int:
        """The number of the newest checkpoint that was made with these keys; 0 for none that is known."""
        try:
            return int((self._halves / NEWEST).read_bytes())
        except FileNotFoundError:
            return 0

    def publish(self, files: Files) -> None:
        """Put the public halves beside the checkpoints, where they are not."""
        for key in self.trusted().values():
            files.create(f"{PUBLISHED}/{key.key_id}.json", msgspec.json.encode(key))


def read_public_keys(directory: Path) -> dict[str, PublicKey]:
    """The public keys in a directory of files as they are published."""
    found = [msgspec.json.decode(path.read_bytes(), type=PublicKey) for path in sorted(directory.glob("*.json"))]
    return {key.key_id: key for key in found}


def _public(key: RingKey[Ed25519PrivateKey]) -> PublicKey:
    return PublicKey(key_id=key.kid, made_at=key.made_at.isoformat(), **public_jwk(key.value))


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
