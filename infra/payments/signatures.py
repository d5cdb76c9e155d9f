"""How webhooks are signed: `Payments-Signature: t=<unix seconds>,v1=<hex>`, v1 the HMAC-SHA256 of `<t>.<body>`.

Several v1 may stand in one header and several secrets may be held, so that a secret is rotated without a gap. What is
signed is the text of t as it was sent: another spelling of the same second does not verify.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from events.refusals import Refusal

HEADER: Final = "Payments-Signature"
HEADER_MAX_CHARS: Final = 1_024
HEADER_SHAPE: Final = re.compile(r"t=([0-9]{1,12})((?:,v[0-9]=[0-9a-f]{64})+)", re.ASCII)
V1: Final = re.compile(r",v1=([0-9a-f]{64})", re.ASCII)
CHALLENGE: Final = {"WWW-Authenticate": HEADER}


class WebhookSignatureInvalid(Refusal):
    """A webhook without a signature by a secret that we share with the provider."""


class WebhookStale(Refusal):
    """A webhook signed too long ago, or in the future: perhaps a recording played back."""


def sign(body: bytes, *, secrets: Sequence[bytes], at: datetime) -> str:
    """The header for a body, with a v1 for each secret."""
    t = str(int(at.timestamp()))
    return ",".join([f"t={t}", *(f"v1={_digest(secret, t, body)}" for secret in secrets)])


def verify(body: bytes, header: str | None, *, secrets: Sequence[bytes], now: datetime, tolerance: timedelta) -> None:
    """Raises WebhookSignatureInvalid, or WebhookStale for what was signed with our secret at another time."""
    t, given = _parse(header)
    expected = [_digest(secret, t, body) for secret in secrets]
    # Every pair is compared, each in constant time, so that how long it takes says nothing about a secret.
    matches = [hmac.compare_digest(one, other) for one in expected for other in given]
    if not any(matches):
        raise WebhookSignatureInvalid("no v1 is a signature of this body by a secret held here", headers=CHALLENGE)
    off_s = abs(now.timestamp() - int(t))
    if off_s > tolerance.total_seconds():
        raise WebhookStale(f"signed {off_s:.0f} s from now; sign it again when sending it again")


def _parse(header: str | None) -> tuple[str, list[str]]:
    if header is None:
        raise WebhookSignatureInvalid(f"send {HEADER}: t=<unix seconds>,v1=<hex>", headers=CHALLENGE)
    shape = HEADER_SHAPE.fullmatch(header) if len(header) <= HEADER_MAX_CHARS else None
    if shape is None:
        raise WebhookSignatureInvalid(f"{HEADER} is not t=<unix seconds>,v1=<hex>", headers=CHALLENGE)
    return shape[1], V1.findall(shape[2])


def _digest(secret: bytes, t: str, body: bytes) -> str:
    return hmac.new(secret, f"{t}.".encode() + body, hashlib.sha256).hexdigest()
