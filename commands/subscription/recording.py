"""Records what the payment provider said, by reply or by webhook, in the stream that the invoice is of."""

from typing import Any

from commands.decider import Decider
from commands.handling import Handling, Outcome, Target, Terms
from commands.subscription.commands import PaymentCommand, RecordPaymentFailed, RecordPaymentSucceeded, RecordRefund
from commands.subscription.installation import Deciders
from events.envelope import Context
from events.types import InvoiceId, RefundId
from infra.ids import new_id
from infra.payments.provider import Charge, Refund, WebhookEvent
from infra.telemetry import log

KINDS = ("account", "purchase")
UNSAID = "declined"


def target_of(invoice_id: str) -> Target | None:
    """The stream that an invoice is of: its id says so; None for a reference that is none of ours."""
    stream, _, number = invoice_id.rpartition(".")
    kind, _, subject = stream.partition("-")
    if kind not in KINDS or not subject or not number.isdigit():
        return None
    return Target(subject, f"subscription.{stream}")


def decider_of(invoice_id: str, deciders: Deciders) -> Decider[Any, Any]:
    """The decider of an invoice's stream; each takes every payment command."""
    return deciders.purchase if invoice_id.startswith("purchase-") else deciders.subscription


def context(causation_id: str | None = None) -> Context:
    """For whom the events are recorded that nobody asked for; by default the stream's last event is their cause."""
    return Context(correlation_id=new_id(), principal="billing", causation_id=causation_id)


class Recording:
    """Hands news to the deciders. Twice, late and in any order are theirs to sort out."""

    def __init__(self, handling: Handling, deciders: Deciders) -> None:
        self._handling = handling
        self._deciders = deciders

    async def on_webhook(self, event: WebhookEvent) -> None:
        """News by webhook; what is none of ours is left alone. Raises a Refusal for what cannot be recorded."""
        if target_of(event.reference) is None:
            log.warning("payment_event_of_nobody", event_id=event.event_id, reference=event.reference)
            return
        await self.record(_command_of(event), cause=event.event_id)

    async def charged(self, charge: Charge) -> bool:
        """How a charge ended; False while it is pending."""
        invoice_id = InvoiceId(charge.reference)
        if charge.status == "pending":
            return False
        command: PaymentCommand = RecordPaymentSucceeded(
            invoice_id=invoice_id, charge_id=charge.charge_id, amount=charge.amount
        )
        if charge.status == "declined":
            code = charge.decline_code or UNSAID
            command = RecordPaymentFailed(invoice_id=invoice_id, code=code, charge_id=charge.charge_id)
        await self.record(command, cause=charge.charge_id)
        return True

    async def refunded(self, invoice_id: InvoiceId, refund_id: RefundId, refund: Refund) -> bool:
        """How a refund ended; False while it is pending."""
        if refund.status == "pending":
            return False
        command = RecordRefund(
            invoice_id=invoice_id,
            refund_id=refund_id,
            provider_refund_id=refund.refund_id,
            outcome=refund.status,
            charge_id=refund.charge_id,
            amount=refund.amount,
        )
        await self.record(command, cause=refund.refund_id)
        return True

    async def record(self, command: PaymentCommand, *, cause: str | None = None) -> Outcome:
        """One command about an invoice, in its stream. `cause`: the provider's id of what it said."""
        target = target_of(command.invoice_id)
        assert target is not None
        decider = decider_of(command.invoice_id, self._deciders)
        return await self._handling.handle(command, decider=decider, target=target, terms=Terms(context(cause)))


def _command_of(event: WebhookEvent) -> PaymentCommand:
    invoice_id = InvoiceId(event.reference)
    match event.type:
        case "charge.succeeded":
            return RecordPaymentSucceeded(
                invoice_id=invoice_id,
                charge_id=event.charge_id,
                amount=event.amount,
                provider_event_id=event.event_id,
            )
        case "charge.declined":
            return RecordPaymentFailed(
                invoice_id=invoice_id,
                code=event.decline_code or UNSAID,
                charge_id=event.charge_id,
                provider_event_id=event.event_id,
            )
        case "refund.succeeded" | "refund.failed":
            return RecordRefund(
                invoice_id=invoice_id,
                provider_refund_id=event.refund_id or event.charge_id,
                outcome="succeeded" if event.type == "refund.succeeded" else "failed",
                charge_id=event.charge_id,
                amount=event.amount,
                provider_event_id=event.event_id,
            )
