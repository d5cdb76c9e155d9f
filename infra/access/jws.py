"""Signed tokens as they arrive (RFC 7515, 8725): taken apart strictly, before anything in them is believed."""

import binascii
import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Final, Literal, NoReturn, TypeAlias, TypeVar

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

Algorithm: TypeAlias = Literal["EdDSA", "ES256", "RS256", "HS256"]
VerifyingKey: TypeAlias = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey | bytes
Seconds = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]  # up to the year 9999
_BASE64URL: Final = re.compile(r"[0-9A-Za-z_-]*")
_signatures: Final = jwt.PyJWS()

C = TypeVar("C")


class BadToken(Exception):
    """The token is missing, malformed, expired, or signed by someone else."""


class Header(msgspec.Struct):
    """What is signed how, as the token says. Where a key may be found (jku, x5u, jwk) is never looked at."""

    alg: str
    kid: str
    typ: str | None = None


class Times(msgspec.Struct):
    """When a token holds: epoch seconds."""

    exp: Seconds
    nbf: Seconds | None = None
    iat: Seconds | None = None


class Jws:
    """A token taken apart; nothing in it is true until check() returned. Raises BadToken."""

    def __init__(self, token: str, *, max_bytes: int) -> None:
        if len(token) > max_bytes:
            raise BadToken(f"the token is longer than {max_bytes} bytes")
        parts = token.split(".") if token.isascii() else ()
        if len(parts) != 3:
            raise BadToken("a token is three parts of base64url with dots between them")
        self._token = token
        members = _object(parts[0], "header")
        if "crit" in members:
            raise BadToken("the header asks for an extension that is not known here (crit)")
        if "cty" in members:
            raise BadToken("a token in a token is not taken (cty)")
        self.header = _converted(members, Header)
        self.claims = _object(parts[1], "payload")

    @property
    def media_type(self) -> str:
        """Its media type, without `application/`, in lower case."""
        return (self.header.typ or "").lower().removeprefix("application/")

    def check(self, key: VerifyingKey, algorithm: Algorithm) -> None:
        """Raises BadToken unless the key made the signature, by this algorithm and no other."""
        if isinstance(key, bytes):
            self._check_mac(key, algorithm)
            return
        try:
            _signatures.decode_complete(self._token, key, algorithms=[algorithm])
        except jwt.PyJWTError as error:
            raise BadToken(_REASONS.get(type(error), "the token cannot be read")) from error

    def _check_mac(self, key: bytes, algorithm: Algorithm) -> None:
        # The standard library's HMAC rather than PyJWT's way to it: each session's first report pays for this.
        signed, _, signature = self._token.rpartition(".")
        if algorithm != "HS256" or self.header.alg != algorithm:
            raise BadToken(_REASONS[jwt.InvalidAlgorithmError])
        made = urlsafe_b64encode(hmac.digest(key, signed.encode(), "sha256")).rstrip(b"=")
        if not hmac.compare_digest(made, signature.encode()):
            raise BadToken(_REASONS[jwt.InvalidSignatureError])

    def read(self, claims: type[C]) -> C:
        """The claims, of the right types. Raises BadToken."""
        return _converted(self.claims, claims)


_REASONS: Final[dict[type[Exception], str]] = {
    jwt.InvalidSignatureError: "the signature does not hold",
    jwt.InvalidAlgorithmError: "the token is signed by another algorithm than its key is for",
}


def check_times(times: Times, now_s: float, leeway_s: float) -> None:
    """Raises BadToken for what is over, or begins later than a clock may be ahead."""
    if times.exp <= now_s:
        raise BadToken("the token has expired")
    if times.nbf is not None and times.nbf > now_s + leeway_s:
        raise BadToken("the token is not valid yet")
    if times.iat is not None and times.iat > now_s + leeway_s:
        raise BadToken("the token was issued in the future")


def check_audience(given: str | list[str], ours: str) -> None:
    """Raises BadToken for what is meant for somebody else."""
    if ours not in ([given] if isinstance(given, str) else given):
        raise BadToken("the token is for another audience")


def _object(part: str, what: str) -> dict[str, object]:
    if not _BASE64URL.fullmatch(part):
        raise BadToken(f"the {what} is not base64url")
    try:
        text = urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
        members: object = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise BadToken(f"the {what} is not JSON, or names a member twice") from error
    if not isinstance(members, dict):
        raise BadToken(f"the {what} is not a JSON object")
    return members


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member comes twice")
    return members


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _converted(members: dict[str, object], kind: type[C]) -> C:
    try:
        return msgspec.convert(members, kind)
    except (msgspec.ValidationError, OverflowError) as error:
        raise BadToken(f"the token does not hold what it must: {error}") from error
