"""Tokens: access tokens (who calls) and playback tokens (whose session a report is for).

Both are JWTs. Development keys are made on first use in the keys directory: Ed25519 for access tokens, HMAC for what
only Playhead itself reads back (playback tokens, page cursors).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import jwt
import msgspec
from cachetools import LRUCache
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.types import Options

from infra.clock import Clock, utc_now
from infra.ids import new_secret
from infra.key_files import read_or_create
from infra.settings import Settings

ISSUER: Final = "playhead"
ACCESS_AUDIENCE: Final = "playhead-api"
PLAYBACK_AUDIENCE: Final = "playhead-playback"
VERIFY: Final[Options] = {"require": ["exp", "aud"], "verify_exp": False}  # expiry is checked by our own clock


class BadToken(Exception):
    """The token is missing, malformed, expired, or signed by someone else."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls. `subject` names a person or a service in the log; viewers have an account and a profile."""

    subject: str
    account_id: str | None = None
    profile_id: str | None = None
    roles: tuple[str, ...] = ()


class Keys:
    """The signing keys of an installation."""

    def __init__(self, access: Ed25519PrivateKey, internal: bytes) -> None:
        self.access = access
        self.access_public: Ed25519PublicKey = access.public_key()
        self.internal = internal

    @classmethod
    def load(cls, directory: Path) -> "Keys":
        """The keys in a directory, made there on first use; of two processes that come first, one wins and both use
        its keys.
        """
        pem = read_or_create(directory / "access.ed25519.pem", _new_access_pem)
        key = load_pem_private_key(pem, password=None)
        assert isinstance(key, Ed25519PrivateKey)
        return cls(key, read_or_create(directory / "internal.hmac", new_secret))


def _new_access_pem() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class _Access(msgspec.Struct, omit_defaults=True):
    sub: str
    exp: float
    account_id: str | None = None
    profile_id: str | None = None
    roles: tuple[str, ...] = ()


class _Playback(msgspec.Struct):
    session: dict[str, object]
    exp: float


T = TypeVar("T")


class Tokens:
    """Makes and verifies tokens. A verified token is remembered until it expires, so that the hot path verifies it
    once.
    """

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        self.keys = Keys.load(settings.keys_path)
        self._clock = clock
        self._access_ttl = timedelta(seconds=settings.access_token_ttl_s)
        self._verified: LRUCache[str, tuple[object, float]] = LRUCache(settings.verified_tokens_kept)

    def mint_access(self, principal: Principal) -> str:
        """An access token for a principal, valid from now."""
        claims = msgspec.to_builtins(principal)
        claims["sub"] = claims.pop("subject")
        claims |= {
            "iss": ISSUER,
            "aud": ACCESS_AUDIENCE,
            "iat": self._clock(),
            "exp": self._clock() + self._access_ttl,
        }
        return jwt.encode(claims, self.keys.access, algorithm="EdDSA")

    def verify_access(self, token: str) -> Principal:
        """Who an access token speaks for. Raises BadToken."""
        return self._once(token, Principal, self._read_access)

    def mint_playback(self, session: object, expires_at: datetime) -> str:
        """A playback token that carries a session snapshot."""
        claims = {"session": msgspec.to_builtins(session), "aud": PLAYBACK_AUDIENCE, "exp": expires_at}
        return jwt.encode(claims, self.keys.internal, algorithm="HS256")

    def verify_playback(self, token: str, session_class: type[T]) -> T:
        """The session snapshot in a playback token. Raises BadToken."""

        def read(encoded: str) -> tuple[T, float]:
            claims = msgspec.convert(self._claims(encoded, self.keys.internal, "HS256", PLAYBACK_AUDIENCE), _Playback)
            return msgspec.convert(claims.session, session_class), claims.exp

        return self._once(token, session_class, read)

    def _once(self, token: str, kind: type[T], read: Callable[[str], tuple[T, float]]) -> T:
        known = self._verified.get(token)
        if known is not None and isinstance(known[0], kind):
            value, expires_at = known[0], known[1]
        else:
            value, expires_at = read(token)
        if expires_at <= self._clock().timestamp():
            raise BadToken("the token has expired")
        self._verified[token] = (value, expires_at)
        return value

    def _read_access(self, token: str) -> tuple[Principal, float]:
        claims = msgspec.convert(self._claims(token, self.keys.access_public, "EdDSA", ACCESS_AUDIENCE), _Access)
        principal = Principal(
            subject=claims.sub, account_id=claims.account_id, profile_id=claims.profile_id, roles=claims.roles
        )
        return principal, claims.exp

    def _claims(self, token: str, key: Ed25519PublicKey | bytes, algorithm: str, audience: str) -> dict[str, object]:
        try:
            return jwt.decode(token, key, algorithms=[algorithm], audience=audience, options=VERIFY)
        except jwt.PyJWTError as error:
            raise BadToken(str(error)) from error
