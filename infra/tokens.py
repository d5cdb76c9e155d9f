"""Tokens: access tokens (who calls) and playback tokens (whose session a report is for).

Both are JWTs. Development keys are made on first use in the keys directory: Ed25519 for access tokens, HMAC for what
only Playhead itself reads back (playback tokens, page cursors).
"""

import hmac
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
from infra.permissions import Principal, Scope
from infra.settings import Settings

ISSUER: Final = "playhead"
ACCESS_AUDIENCE: Final = "playhead-api"
PLAYBACK_AUDIENCE: Final = "playhead-playback"
REFRESH_PREFIX: Final = "phr"
VERIFY: Final[Options] = {"require": ["exp", "aud"], "verify_exp": False}  # expiry is checked by our own clock


class BadToken(Exception):
    """The token is missing, malformed, expired, or signed by someone else."""


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
    scope: str = ""
    account_id: str | None = None
    profile_id: str | None = None
    sid: str | None = None
    device_id: str | None = None
    maturity_limit: int | None = None
    roles: tuple[str, ...] = ()


class _Playback(msgspec.Struct):
    session: dict[str, object]
    exp: float


_SCOPES: Final = frozenset(Scope)
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

    def mint_access(self, principal: Principal, *, ttl_s: int | None = None) -> str:
        """An access token for a principal, valid from now; `ttl_s`: for that long instead of as settings say."""
        now = self._clock()
        lasts = self._access_ttl if ttl_s is None else timedelta(seconds=ttl_s)
        claims = _Access(
            sub=principal.subject,
            exp=(now + lasts).timestamp(),
            scope=" ".join(sorted(principal.scopes)),
            account_id=principal.account_id,
            profile_id=principal.profile_id,
            sid=principal.sign_in_id,
            device_id=principal.device_id,
            maturity_limit=principal.maturity_limit,
            roles=principal.roles,
        )
        issued = {"iss": ISSUER, "aud": ACCESS_AUDIENCE, "iat": now}
        return jwt.encode({**msgspec.to_builtins(claims), **issued}, self.keys.access, algorithm="EdDSA")

    def verify_access(self, token: str) -> Principal:
        """Who an access token speaks for. Raises BadToken."""
        return self._once(token, Principal, self._read_access)

    def mint_playback(self, session: object, expires_at: datetime) -> str:
        """A playback token that carries a session snapshot."""
        claims = {"session": msgspec.to_builtins(session), "aud": PLAYBACK_AUDIENCE, "exp": expires_at}
        return jwt.encode(claims, self.keys.internal, algorithm="HS256")

    def mint_refresh(self, sign_in_id: str, generation: int) -> str:
        """The refresh token of a sign-in, numbered: the same each time it is made, so that none has to be kept."""
        return f"{REFRESH_PREFIX}.{sign_in_id}.{generation}.{self._refresh_mac(sign_in_id, generation)}"

    def read_refresh(self, token: str) -> tuple[str, int]:
        """The sign-in and the number of a refresh token that was made here. Raises BadToken."""
        prefix, _, rest = token.partition(".")
        sign_in_id, _, rest = rest.partition(".")
        generation, _, mac = rest.partition(".")
        if prefix != REFRESH_PREFIX or not (generation.isascii() and generation.isdigit() and len(generation) < 10):
            raise BadToken("this is no refresh token")
        if not hmac.compare_digest(mac.encode(), self._refresh_mac(sign_in_id, int(generation)).encode()):
            raise BadToken("the refresh token was not made here")
        return sign_in_id, int(generation)

    def _refresh_mac(self, sign_in_id: str, generation: int) -> str:
        return hmac.digest(self.keys.internal, f"refresh {sign_in_id} {generation}".encode(), "sha256").hex()

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
        given = self._claims(token, self.keys.access_public, "EdDSA", ACCESS_AUDIENCE)
        try:
            claims = msgspec.convert(given, _Access)
        except msgspec.ValidationError as error:
            raise BadToken(str(error)) from error
        principal = Principal(
            subject=claims.sub,
            account_id=claims.account_id,
            profile_id=claims.profile_id,
            sign_in_id=claims.sid,
            device_id=claims.device_id,
            maturity_limit=claims.maturity_limit,
            roles=claims.roles,
            scopes=frozenset(Scope(scope) for scope in claims.scope.split() if scope in _SCOPES),
        )
        return principal, claims.exp

    def _claims(self, token: str, key: Ed25519PublicKey | bytes, algorithm: str, audience: str) -> dict[str, object]:
        try:
            return jwt.decode(token, key, algorithms=[algorithm], audience=audience, options=VERIFY)
        except jwt.PyJWTError as error:
            raise BadToken(str(error)) from error
