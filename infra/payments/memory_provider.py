"""The fake provider without a network, for logic tests: the same books and rules as the one that speaks HTTP."""

from collections.abc import Sequence

from infra.clock import Clock, utc_now
from infra.payments.books import A, Books, NotBooked
from infra.payments.provider import (
    Charge,
    ChargeRequest,
    ProviderRefused,
    ProviderUnavailable,
    Refund,
    RefundRequest,
    WebhookEvent,
)
from infra.payments.rules import Operation, Rule, RuleBook


class MemoryPaymentProvider:
    """A PaymentProvider. What it would tell by webhook is in `webhooks`, in the order that it would arrive.

    A rule's delay lasts until settle(); a webhook that it holds back waits for the next one or settle().
    """

    def __init__(self, rules: RuleBook | None = None, clock: Clock = utc_now) -> None:
        self.rules = rules or RuleBook()
        self.books = Books(clock, seed=self.rules.seed)
        self.webhooks: list[WebhookEvent] = []
        self._held: list[tuple[WebhookEvent, Rule]] = []
        self._unsettled: list[tuple[Operation, str, Rule]] = []

    async def charge(self, request: ChargeRequest) -> Charge:
        """Charge as the rules say."""
        rule = self._rule("charge", request.idempotency_key, request.account_id)
        try:
            reply, new = self.books.charge(request, rule)
        except NotBooked as refused:
            raise ProviderRefused(str(refused)) from refused
        if new:
            self._follow("charge", request.idempotency_key, rule)
        return _replied(reply, rule)

    async def refund(self, request: RefundRequest) -> Refund:
        """Refund as the rules say."""
        rule = self._rule("refund", request.idempotency_key, self.books.account_of(request.charge_id))
        try:
            reply, new = self.books.refund(request, rule)
        except NotBooked as refused:
            raise ProviderRefused(str(refused)) from refused
        if new:
            self._follow("refund", request.idempotency_key, rule)
        return _replied(reply, rule)

    async def find_charge(self, idempotency_key: str) -> Charge | None:
        """The charge of a key, if there is one."""
        self._rule("find", idempotency_key, None)
        return self.books.find(idempotency_key)

    def settle(self) -> None:
        """Let everything that is pending end, oldest first, and tell what was held back."""
        waiting, self._unsettled = self._unsettled, []
        for operation, key, rule in waiting:
            self._settle(operation, key, rule)
        self._tell(self._held)

    def _rule(self, operation: Operation, key: str, account_id: str | None) -> Rule:
        rule = self.rules.take(operation, key=key, account_id=account_id)
        if rule.unavailable:
            raise ProviderUnavailable("the provider is down", retry_after_s=rule.retry_after_s)
        return rule

    def _follow(self, operation: Operation, key: str, rule: Rule) -> None:
        if rule.delay_ms is None:
            self._settle(operation, key, rule)
        else:
            self._unsettled.append((operation, key, rule))

    def _settle(self, operation: Operation, key: str, rule: Rule) -> None:
        event = self.books.settle_charge(key) if operation == "charge" else self.books.settle_refund(key)
        if rule.webhook_reorder and not self._held:
            self._held.append((event, rule))
            return
        self._tell([(event, rule), *self._held])

    def _tell(self, news: Sequence[tuple[WebhookEvent, Rule]]) -> None:
        self.webhooks += [event for event, rule in news for _ in range(rule.webhook_copies)]
        self._held = []


def _replied(reply: A, rule: Rule) -> A:
    if rule.lose_reply:
        raise ProviderUnavailable("the reply was lost")
    return reply
