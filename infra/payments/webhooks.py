"""Webhooks as they arrive: verified, then read. The commands API serves the route; the fake provider writes them."""

from datetime import timedelta
from typing import Final, get_args

import msgspec
from prometheus_client import Counter

from events.refusals import Refusal
from infra.clock import Clock, utc_now
from infra.payments.keys import PaymentKeys
from infra.payments.provider import Name, WebhookEvent, WebhookType
from infra.payments.signatures import WebhookSignatureInvalid, WebhookStale, verify
from infra.settings import Settings

WEBHOOKS = Counter("playhead_payment_webhooks_total", "Webhooks of the payment provider, by what they were", ["result"])
KNOWN: Final = frozenset(get_args(WebhookType))


class WebhookMalformed(Refusal):
    """A signed webhook that cannot be read: the provider and we disagree about its shape."""


class _Kind(msgspec.Struct):
    type: Name


class Webhooks:
    """Verifies and reads the webhooks of one provider."""

    def __init__(self, keys: PaymentKeys, settings: Settings, clock: Clock = utc_now) -> None:
        self._secrets = keys.webhook_secrets
        self._tolerance = timedelta(seconds=settings.payments_webhook_tolerance_s)
        self._clock = clock

    def read(self, body: bytes, signature: str | None) -> WebhookEvent | None:
        """The event in a webhook; None for a type that we know nothing of, which is not an error.

        Raises WebhookSignatureInvalid, WebhookStale, WebhookMalformed.
        """
        try:
            verify(body, signature, secrets=self._secrets, now=self._clock(), tolerance=self._tolerance)
            event = _decode(body)
        except (WebhookSignatureInvalid, WebhookStale, WebhookMalformed) as refused:
            WEBHOOKS.labels(type(refused).__name__).inc()
            raise
        WEBHOOKS.labels(event.type if event else "unknown_type").inc()
        return event


def _decode(body: bytes) -> WebhookEvent | None:
    try:
        if msgspec.json.decode(body, type=_Kind).type not in KNOWN:
            return None
        event = msgspec.json.decode(body, type=WebhookEvent)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WebhookMalformed(f"the webhook cannot be read: {error}") from error
    if event.type.startswith("refund.") and event.refund_id is None:
        raise WebhookMalformed(f"{event.type} must say its refund_id")
    return event
