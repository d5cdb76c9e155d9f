"""Keys that others publish (RFC 7517), held to the algorithms that are taken here: Ed25519, ES256, and RS256 by 2048
bits or more.
"""

from typing import Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from infra.access.jws import Algorithm, VerifyingKey

ALGORITHMS: Final[dict[str, Algorithm]] = {"Ed25519": "EdDSA", "P-256": "ES256", "RSA": "RS256"}
RSA_LEAST_BITS: Final = 2048


class _Jwk(msgspec.Struct):
    kty: str
    kid: str
    crv: str | None = None
    use: str | None = None
    alg: str | None = None


class _Jwks(msgspec.Struct):
    keys: list[dict[str, object]]


def usable_keys(jwks: bytes) -> dict[str, tuple[VerifyingKey, Algorithm]]:
    """The keys that verify signatures by algorithms that are allowed; the rest are passed over. Raises ValueError."""
    try:
        given = msgspec.json.decode(jwks, type=_Jwks).keys
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"no JWKS: {error}") from error
    keys = {kid: key for each in given for kid, key in _verifying(each)}
    if not keys:
        raise ValueError("the JWKS holds no key that is allowed")
    return keys


def _verifying(jwk: dict[str, object]) -> list[tuple[str, tuple[VerifyingKey, Algorithm]]]:
    try:
        named = msgspec.convert(jwk, _Jwk)
        algorithm = ALGORITHMS.get(named.crv or named.kty)
        if algorithm is None or named.use not in (None, "sig") or named.alg not in (None, algorithm):
            return []
        key = jwt.PyJWK(jwk, algorithm).key
    except (msgspec.ValidationError, jwt.PyJWTError, ValueError, TypeError):
        return []
    if isinstance(key, RSAPublicKey) and key.key_size < RSA_LEAST_BITS:
        return []
    allowed = isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey)  # never a private key
    return [(named.kid, (key, algorithm))] if allowed else []
