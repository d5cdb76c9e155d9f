"""Entity tags (RFC 9110, 8.8.3): by which a client asks whether the reply that it has is still the one that it would be
given.
"""

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final

DIGEST_BYTES: Final = 15
"""Of the body's, so that no two bodies ever have the same: 20 characters."""
ANY: Final = b"*"
_TAG: Final = re.compile(rb'(?:W/)?("[^"]*")')


def tag_of(body: bytes) -> bytes:
    """The tag of a reply with this body, as it is: a strong one, since other bytes have another."""
    return b'"%b"' % urlsafe_b64encode(sha256(body).digest()[:DIGEST_BYTES])


def tag_in(coding: bytes, tag: bytes) -> bytes:
    """The tag of the same reply in a coding: a weak one, since another process may compress it into other bytes."""
    return b'W/%b-%b"' % (tag[:-1], coding)


def names(if_none_match: bytes, tag: bytes) -> bool:
    """Whether the value of If-None-Match names a tag, or any, by the weak comparison (RFC 9110, 8.8.3.2 and 13.1.2).
    What is no tag in it names none.
    """
    opaque = tag.removeprefix(b"W/")
    return if_none_match.strip() == ANY or opaque in _TAG.findall(if_none_match)
