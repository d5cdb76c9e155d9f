"""A signed webhook is read strictly; a type that nobody here knows is no error."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from events.types import Money
from infra.payments.keys import PaymentKeys
from infra.payments.provider import WebhookEvent
from infra.payments.signatures import WebhookSignatureInvalid, sign
from infra.payments.webhooks import WebhookMalformed, Webhooks
from infra.settings import Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENT = WebhookEvent(
    event_id="evt-1",
    type="charge.succeeded",
    reference="invoice-1",
    charge_id="ch-1",
    amount=Money(9_900, "KRW"),
    occurred_at=NOW,
)
KEYS = PaymentKeys("key", (b"secret",))


@pytest.fixture
def webhooks(tmp_path: Path) -> Webhooks:
    return Webhooks(KEYS, Settings(state_dir=tmp_path), lambda: NOW)


def read(webhooks: Webhooks, **changes: object) -> WebhookEvent | None:
    body = msgspec.json.encode({**msgspec.to_builtins(EVENT), **changes})
    return webhooks.read(body, sign(body, secrets=KEYS.webhook_secrets, at=NOW))


def test_a_signed_webhook_is_its_event(webhooks: Webhooks) -> None:
    assert read(webhooks) == EVENT


def test_fields_that_are_new_are_passed_over(webhooks: Webhooks) -> None:
    assert read(webhooks, livemode=True) == EVENT


def test_an_unknown_type_is_ignored(webhooks: Webhooks) -> None:
    assert read(webhooks, type="payout.created", charge_id=None) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"event_id": ""},
        {"event_id": "x" * 256},
        {"type": 1},
        {"amount": None},
        {"amount": {"amount_minor": -1, "currency": "KRW"}},
        {"amount": {"amount_minor": 1.5, "currency": "KRW"}},
        {"amount": {"amount_minor": 10**16, "currency": "KRW"}},
        {"amount": {"amount_minor": 1, "currency": "won"}},
        {"occurred_at": "2026-03-01T12:00:00"},
        {"type": "refund.succeeded"},
    ],
)
def test_a_webhook_of_another_shape_is_malformed(webhooks: Webhooks, changes: dict[str, object]) -> None:
    with pytest.raises(WebhookMalformed):
        read(webhooks, **changes)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"type": "\xff"}'])
def test_what_is_no_json_object_is_malformed(webhooks: Webhooks, body: bytes) -> None:
    with pytest.raises(WebhookMalformed):
        webhooks.read(body, sign(body, secrets=KEYS.webhook_secrets, at=NOW))


def test_nothing_is_read_before_it_is_verified(webhooks: Webhooks) -> None:
    with pytest.raises(WebhookSignatureInvalid):
        webhooks.read(b"{", None)
