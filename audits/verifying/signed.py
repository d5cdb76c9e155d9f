"""Documents that are signed: two lines, JSON and its signature. The bytes that are signed are those that are stored, so
that nobody has to agree on how JSON is written.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping

import msgspec

from audits.verifying.keys import PublicKey, SigningKeys


class NotSigned(ValueError):
    """A document without a signature by a key that is trusted; the message says why."""


class Signature(msgspec.Struct, frozen=True):
    """Who signed the line before: the id of an Ed25519 key, and base64url."""

    key_id: str
    signature: str


def sign(content: bytes, keys: SigningKeys) -> bytes:
    """A document of one line of JSON, with its signature."""
    key = keys.signing()
    signature = urlsafe_b64encode(key.value.sign(content)).rstrip(b"=").decode()
    return content + b"\n" + msgspec.json.encode(Signature(key.kid, signature)) + b"\n"


def split(document: bytes) -> tuple[bytes, Signature]:
    """What was signed, and the signature, which nobody has looked at. Raises NotSigned."""
    content, _, rest = document.partition(b"\n")
    try:
        return content, msgspec.json.decode(rest, type=Signature)
    except (msgspec.MsgspecError, ValueError) as error:
        raise NotSigned(f"has no signature ({error})") from error


def opened(document: bytes, trusted: Mapping[str, PublicKey]) -> bytes:
    """What was signed, once the signature holds. Raises NotSigned."""
    content, signature = split(document)
    key = trusted.get(signature.key_id)
    if key is None:
        raise NotSigned(f"is signed by {signature.key_id!r}, which is no key of this installation")
    if not key.verifies(content, signature.signature):
        raise NotSigned(f"is not what {signature.key_id} signed")
    return content
