"""The books of the fake provider: its charges and refunds, and the news of each.

Behind both fakes: memory_provider.py for logic tests, and `playhead fake-payments` over HTTP. In memory, because they
last as long as the test or the demo that reads them, and an outage is a rule rather than a killed process.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from msgspec.structs import replace

from infra.clock import Clock
from infra.payments.provider import Charge, ChargeRequest, Refund, RefundRequest, WebhookEvent
from infra.payments.rules import Rule

Q = TypeVar("Q", ChargeRequest, RefundRequest)
A = TypeVar("A", Charge, Refund)
MAX_ENTRIES: Final = 100_000


class NotBooked(Exception):
    """What the provider refuses. `status` is what it answers over HTTP."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass
class Entry(Generic[Q, A]):
    """A charge or a refund: as asked, as first replied (and to every repetition), as it will end, as it stands."""

    request: Q
    reply: A
    end: A
    now: A


class Book(Generic[Q, A]):
    """Charges or refunds by idempotency key; past `max_entries` it takes no more, since each is needed to compare."""

    def __init__(self, max_entries: int) -> None:
        self.entries: dict[str, Entry[Q, A]] = {}
        self._max_entries = max_entries

    def known(self, request: Q) -> A | None:
        """The first reply to a request that was made before. Raises NotBooked for another request of the same key."""
        entry = self.entries.get(request.idempotency_key)
        if entry is None:
            return None
        if entry.request != request:
            raise NotBooked(409, "the idempotency key came with another request before")
        return entry.reply

    def write(self, request: Q, reply: A, end: A) -> A:
        """Remember an entry; its reply."""
        if len(self.entries) >= self._max_entries:
            raise NotBooked(507, f"this fake remembers {self._max_entries} entries; start it anew")
        self.entries[request.idempotency_key] = Entry(request, reply, end, reply)
        return reply

    def settle(self, key: str) -> Entry[Q, A]:
        """Let an entry end as it was to end."""
        entry = self.entries[key]
        entry.now = entry.end
        return entry


class Books:
    """What a provider remembers. Every id is made of the seed and the idempotency key."""

    def __init__(self, clock: Clock, *, seed: int = 0, max_entries: int = MAX_ENTRIES) -> None:
        self.charges: Book[ChargeRequest, Charge] = Book(max_entries)
        self.refunds: Book[RefundRequest, Refund] = Book(max_entries)
        self._clock = clock
        self._seed = seed
        self._keys: dict[str, str] = {}
        self._refunded_minor: dict[str, int] = {}

    def charge(self, request: ChargeRequest, rule: Rule) -> tuple[Charge, bool]:
        """The reply, and whether the charge is new. Raises NotBooked."""
        if known := self.charges.known(request):
            return known, False
        if not request.amount:
            raise NotBooked(422, "amount must be more than nothing")
        end = Charge(
            charge_id=self._id("ch", request.idempotency_key),
            reference=request.reference,
            status="declined" if rule.decline_code else "succeeded",
            amount=request.amount,
            decline_code=rule.decline_code,
        )
        reply = end if rule.delay_ms is None else replace(end, status="pending", decline_code=None)
        self._keys[end.charge_id] = request.idempotency_key
        return self.charges.write(request, reply, end), True

    def refund(self, request: RefundRequest, rule: Rule) -> tuple[Refund, bool]:
        """The reply, and whether the refund is new. Raises NotBooked."""
        if known := self.refunds.known(request):
            return known, False
        self._check_refundable(request)
        end = Refund(
            refund_id=self._id("re", request.idempotency_key),
            charge_id=request.charge_id,
            status="failed" if rule.refund_fails else "succeeded",
            amount=request.amount,
        )
        reply = end if rule.delay_ms is None else replace(end, status="pending")
        self.refunds.write(request, reply, end)
        if not rule.refund_fails:
            self._refunded_minor[request.charge_id] = self._refunded(request.charge_id) + request.amount.amount_minor
        return reply, True

    def find(self, key: str) -> Charge | None:
        """The charge made under a key, as it stands."""
        entry = self.charges.entries.get(key)
        return entry.now if entry else None

    def account_of(self, charge_id: str) -> str | None:
        """Whose charge it is."""
        key = self._keys.get(charge_id)
        return self.charges.entries[key].request.account_id if key else None

    def settle_charge(self, key: str) -> WebhookEvent:
        """Let a charge end; the news of it."""
        charge = self.charges.settle(key).now
        return WebhookEvent(
            event_id=self._id("evt", charge.charge_id),
            type="charge.declined" if charge.status == "declined" else "charge.succeeded",
            reference=charge.reference,
            charge_id=charge.charge_id,
            amount=charge.amount,
            occurred_at=self._clock(),
            decline_code=charge.decline_code,
        )

    def settle_refund(self, key: str) -> WebhookEvent:
        """Let a refund end; the news of it."""
        entry = self.refunds.settle(key)
        return WebhookEvent(
            event_id=self._id("evt", entry.now.refund_id),
            type="refund.failed" if entry.now.status == "failed" else "refund.succeeded",
            reference=entry.request.reference,
            charge_id=entry.now.charge_id,
            amount=entry.now.amount,
            occurred_at=self._clock(),
            refund_id=entry.now.refund_id,
        )

    def _check_refundable(self, request: RefundRequest) -> None:
        key = self._keys.get(request.charge_id)
        if key is None:
            raise NotBooked(404, f"there is no charge {request.charge_id}")
        charge = self.charges.entries[key].now
        left_minor = charge.amount.amount_minor - self._refunded(request.charge_id)
        if charge.status != "succeeded":
            raise NotBooked(422, f"the charge is {charge.status}: only one that succeeded is refunded")
        if request.amount.currency != charge.amount.currency or not request.amount:
            raise NotBooked(422, f"amount must be more than nothing, in {charge.amount.currency}")
        if request.amount.amount_minor > left_minor:
            raise NotBooked(422, f"of the charge {left_minor} is left to refund")

    def _refunded(self, charge_id: str) -> int:
        return self._refunded_minor.get(charge_id, 0)

    def _id(self, prefix: str, text: str) -> str:
        return f"{prefix}_{hashlib.sha256(f'{self._seed} {prefix} {text}'.encode()).hexdigest()[:24]}"
