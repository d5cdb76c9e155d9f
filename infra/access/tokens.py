"""Tokens: access tokens (who calls), playback tokens (whose session a report is for), refresh tokens (which sign-in).

Access tokens are RFC 9068 JWTs, signed with Ed25519 so that others can verify them by /.well-known/jwks.json. Playback
tokens are JWTs and refresh tokens numbered MACs, both under HMAC keys that never leave. Which key: keyring.py.
"""

import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.access.issuers import TrustedIssuers
from infra.access.jws import BadToken, Jws, Times, check_audience, check_times
from infra.access.keyring import ACCESS, INTERNAL, Keyring, public_jwk
from infra.access.permissions import Principal, Scope
from infra.access.verified import Verified, VerifiedTokens, digest_of
from infra.clock import Clock, utc_now
from infra.ids import new_id
from infra.settings import KIB, Settings

__all__ = ["ACCESS_AUDIENCE", "BadToken", "Keys", "Tokens"]

ACCESS_AUDIENCE: Final = "playhead-api"
PLAYBACK_AUDIENCE: Final = "playhead-playback"
ACCESS_TYPE: Final = "at+jwt"
PLAYBACK_TYPE: Final = "playback+jwt"
CLIENT: Final = "playhead"
"""`client_id` of our own clients (RFC 9068 wants one)."""
PLAYBACK_MAX_BYTES: Final = 16 * KIB
REFRESH_PREFIX: Final = "phr"
REFRESH_MAX_CHARS: Final = 256
MINTED_TTL_MAX_S: Final = 24 * 3600
"""The longest that `playhead token` makes a token last."""


class Keys:
    """The signing keys of an installation."""

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        self.access_ring: Keyring[Ed25519PrivateKey] = Keyring(ACCESS, settings, clock)
        self.internal_ring: Keyring[bytes] = Keyring(INTERNAL, settings, clock)

    @property
    def internal(self) -> bytes:
        """The secret that signs now, for what need not outlast a rotation."""
        return self.internal_ring.signing().value

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """What others verify access tokens with (RFC 7517)."""
        return {
            "keys": [
                {**public_jwk(key.value), "kid": key.kid, "use": "sig", "alg": "EdDSA"}
                for key in self.access_ring.known()
            ]
        }


class _Access(Times, kw_only=True, omit_defaults=True):
    iss: str
    aud: str | list[str]
    sub: str
    client_id: str
    jti: str
    scope: str = ""
    account_id: str | None = None
    profile_id: str | None = None
    sid: str | None = None
    device_id: str | None = None
    maturity_limit: int | None = None
    roles: tuple[str, ...] = ()


class _Playback(Times, kw_only=True):
    aud: str
    grant: dict[str, object]


_SCOPES: Final = frozenset(Scope)
T = TypeVar("T")


class Tokens:
    """Makes and verifies tokens. A verified token is remembered until it expires, so that the hot path verifies it
    once.
    """

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        self.keys = Keys(settings, clock)
        self.issuers = TrustedIssuers.load(settings, clock)
        self._settings = settings
        self._clock = clock
        self._looked_at_s = clock().timestamp()
        self._lost = 0
        self._verified = VerifiedTokens(settings.verified_tokens_kept)

    def mint_access(self, principal: Principal, *, ttl_s: int | None = None) -> str:
        """An access token for a principal, valid from now; `ttl_s`: for that long instead of as settings say."""
        now_s = int(self._clock().timestamp())
        claims = _Access(
            iss=self._settings.token_issuer,
            aud=ACCESS_AUDIENCE,
            sub=principal.subject,
            client_id=CLIENT,
            jti=new_id(),
            iat=now_s,
            exp=now_s + (self._settings.access_token_ttl_s if ttl_s is None else ttl_s),
            scope=" ".join(sorted(principal.scopes)),
            account_id=principal.account_id,
            profile_id=principal.profile_id,
            sid=principal.sign_in_id,
            device_id=principal.device_id,
            maturity_limit=principal.maturity_limit,
            roles=principal.roles,
        )
        key = self.keys.access_ring.signing()
        headers = {"typ": ACCESS_TYPE, "kid": key.kid}
        return jwt.encode(msgspec.to_builtins(claims), key.value, algorithm="EdDSA", headers=headers)

    def verify_access(self, token: str) -> Principal:
        """Who an access token speaks for. Raises BadToken."""
        return self._once(token, Principal, self._read_access, max_bytes=self._settings.access_token_max_bytes)

    def mint_playback(self, grant: object, expires_at: datetime) -> str:
        """A playback token that carries what is granted: a session, and on which terms."""
        key = self.keys.internal_ring.signing()
        claims = {"grant": msgspec.to_builtins(grant), "aud": PLAYBACK_AUDIENCE, "exp": expires_at}
        headers = {"typ": PLAYBACK_TYPE, "kid": key.kid}
        return jwt.encode(claims, key.value, algorithm="HS256", headers=headers)

    def verify_playback(self, token: str, grant_class: type[T]) -> T:
        """What a playback token grants. Raises BadToken."""

        def read(encoded: Jws) -> tuple[T, float]:
            return self._read_playback(encoded, grant_class)

        return self._once(token, grant_class, read, max_bytes=PLAYBACK_MAX_BYTES)

    def mint_refresh(self, sign_in_id: str, generation: int) -> str:
        """The refresh token of a sign-in, numbered: made again from its number, so that none has to be kept."""
        mac = _refresh_mac(self.keys.internal_ring.signing().value, sign_in_id, generation)
        return f"{REFRESH_PREFIX}.{sign_in_id}.{generation}.{mac}"

    def read_refresh(self, token: str) -> tuple[str, int]:
        """The sign-in and the number of a refresh token that was made here. Raises BadToken."""
        parts = token.split(".") if token.isascii() and len(token) <= REFRESH_MAX_CHARS else ()
        if len(parts) != 4 or parts[0] != REFRESH_PREFIX or not (parts[2].isdigit() and len(parts[2]) < 10):
            raise BadToken("this is no refresh token")
        sign_in_id, generation = parts[1], int(parts[2])
        made = (_refresh_mac(key, sign_in_id, generation) for key in self.keys.internal_ring.values())
        if not any(hmac.compare_digest(parts[3], mac) for mac in made):
            raise BadToken("the refresh token was not made here")
        return sign_in_id, generation

    def _once(self, token: str, kind: type[T], read: Callable[[Jws], tuple[T, float]], *, max_bytes: int) -> T:
        if len(token) > max_bytes or not token.isascii():
            raise BadToken(f"a token is ASCII, and at most {max_bytes} bytes of it")
        now_s = self._clock().timestamp()
        if not 0 <= now_s - self._looked_at_s < self._settings.keys_reload_s:
            self._forget_lost_keys(now_s)
        digest = digest_of(token)
        known = self._verified.get(digest)
        if known is not None and isinstance(known.value, kind):
            if known.expires_at <= now_s:
                raise BadToken("the token has expired")
            return known.value
        value, expires_at = read(Jws(token, max_bytes=max_bytes))
        self._verified.keep(digest, Verified(value, expires_at))
        return value

    def _forget_lost_keys(self, now_s: float) -> None:
        self._looked_at_s = now_s
        rings = (self.keys.access_ring, self.keys.internal_ring)
        for ring in rings:
            ring.look(now_s)
        lost = sum(ring.lost for ring in rings) + self.issuers.lost
        if lost != self._lost:
            self._lost = lost
            self._verified.clear()

    def _read_access(self, jws: Jws) -> tuple[Principal, float]:
        if jws.claims.get("iss") != self._settings.token_issuer:
            return self.issuers.read(jws)
        key = self.keys.access_ring.find(jws.header.kid)
        if key is None:
            raise BadToken("the token is signed by a key that is not ours")
        jws.check(key.public_key(), "EdDSA")
        if jws.media_type != ACCESS_TYPE:
            raise BadToken("the token is no access token (typ)")
        claims = jws.read(_Access)
        check_audience(claims.aud, ACCESS_AUDIENCE)
        check_times(claims, self._clock().timestamp(), self._settings.token_leeway_s)
        return _principal(claims), claims.exp

    def _read_playback(self, jws: Jws, grant_class: type[T]) -> tuple[T, float]:
        key = self.keys.internal_ring.find(jws.header.kid)
        if key is None:
            raise BadToken("the token is signed by a key that is not ours")
        jws.check(key, "HS256")
        if jws.media_type != PLAYBACK_TYPE:
            raise BadToken("the token is no playback token (typ)")
        claims = jws.read(_Playback)
        check_audience(claims.aud, PLAYBACK_AUDIENCE)
        check_times(claims, self._clock().timestamp(), self._settings.token_leeway_s)
        try:
            return msgspec.convert(claims.grant, grant_class), claims.exp
        except msgspec.ValidationError as error:
            raise BadToken(f"the playback token is of another version: {error}") from error


def _principal(claims: _Access) -> Principal:
    scopes = frozenset(Scope(scope) for scope in claims.scope.split() if scope in _SCOPES)
    if not scopes and (claims.roles or claims.account_id is not None):
        # A Principal without scopes would have all that its roles and its account give.
        raise BadToken("the token allows nothing that is known here")
    return Principal(
        subject=claims.sub,
        account_id=claims.account_id,
        profile_id=claims.profile_id,
        sign_in_id=claims.sid,
        device_id=claims.device_id,
        maturity_limit=claims.maturity_limit,
        roles=claims.roles,
        scopes=scopes,
    )


def _refresh_mac(key: bytes, sign_in_id: str, generation: int) -> str:
    return hmac.digest(key, f"refresh {sign_in_id} {generation}".encode(), "sha256").hex()
