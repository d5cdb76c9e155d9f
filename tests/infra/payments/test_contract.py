"""The port's contract, held by the fake in memory and by the HTTP adapter against the fake server."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from events.types import Money
from infra.payments.memory_provider import MemoryPaymentProvider
from infra.payments.provider import PaymentProvider, ProviderRefused, ProviderUnavailable, WebhookEvent
from infra.payments.rules import Rule, RuleBook
from tests.infra.payments.fakes import WON, charge_of, refund_of, settings_of, staged


@dataclass
class Subject:
    """A provider, how to set its rules, and how to read what it told by webhook once all was told."""

    provider: PaymentProvider
    rule: Callable[..., Awaitable[None]]
    told: Callable[[], Awaitable[list[WebhookEvent]]]


@pytest.fixture(params=["memory", "http"])
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    if request.param == "memory":
        yield _in_memory()
        return
    async with staged(settings_of(tmp_path, payments_max_tries=2)) as stage:

        async def told() -> list[WebhookEvent]:
            await stage.director.until_delivered()
            return stage.receiver.events

        yield Subject(stage.provider, stage.director.rule, told)


def _in_memory() -> Subject:
    memory = MemoryPaymentProvider()

    async def rule(*rules: Rule) -> None:
        memory.rules = RuleBook(rules)

    async def told() -> list[WebhookEvent]:
        memory.settle()
        return memory.webhooks

    return Subject(memory, rule, told)


async def test_a_charge_succeeds_and_is_told(subject: Subject) -> None:
    charge = await subject.provider.charge(charge_of())

    assert (charge.status, charge.amount, charge.decline_code) == ("succeeded", WON, None)
    assert charge.reference == charge_of().reference
    [event] = await subject.told()
    assert (event.type, event.charge_id, event.reference) == ("charge.succeeded", charge.charge_id, charge.reference)
    assert event.amount == WON


async def test_asking_again_under_the_same_key_is_one_charge(subject: Subject) -> None:
    first, again = [await subject.provider.charge(charge_of()) for _ in range(2)]

    assert first == again
    assert len(await subject.told()) == 1


async def test_another_request_under_the_same_key_is_refused(subject: Subject) -> None:
    await subject.provider.charge(charge_of())
    with pytest.raises(ProviderRefused, match="key"):
        await subject.provider.charge(charge_of(amount=Money(1, "KRW")))


async def test_other_keys_are_other_charges(subject: Subject) -> None:
    ids = {(await subject.provider.charge(charge_of(f"invoice-{n}"))).charge_id for n in range(5)}
    assert len(ids) == 5


async def test_a_decline_is_an_answer_with_its_reason(subject: Subject) -> None:
    await subject.rule(Rule(account_id="poor", decline_code="insufficient_funds"))

    declined = await subject.provider.charge(charge_of("a", "poor"))
    charged = await subject.provider.charge(charge_of("b", "rich"))

    assert (declined.status, declined.decline_code) == ("declined", "insufficient_funds")
    assert charged.status == "succeeded"
    assert {event.type: event.decline_code for event in await subject.told()} == {
        "charge.declined": "insufficient_funds",
        "charge.succeeded": None,
    }


async def test_a_charge_may_be_pending_and_end_later(subject: Subject) -> None:
    await subject.rule(Rule(delay_ms=30, decline_code="expired_card"))

    assert (await subject.provider.charge(charge_of())).status == "pending"
    [event] = await subject.told()

    assert (event.type, event.decline_code) == ("charge.declined", "expired_card")
    found = await subject.provider.find_charge(charge_of().idempotency_key)
    assert found is not None
    assert found.status == "declined"


async def test_a_charge_whose_replies_are_lost_is_found_and_made_once(subject: Subject) -> None:
    await subject.rule(Rule(lose_reply="error"))
    try:
        charge = await subject.provider.charge(charge_of())
    except ProviderUnavailable:  # what the adapter resolves by itself, a caller of the port may have to
        found = await subject.provider.find_charge(charge_of().idempotency_key)
        assert found is not None
        charge = found

    assert charge.status == "succeeded"
    assert len(await subject.told()) == 1


async def test_a_provider_that_is_down_made_no_charge(subject: Subject) -> None:
    await subject.rule(Rule(unavailable=True))
    with pytest.raises(ProviderUnavailable):
        await subject.provider.charge(charge_of())

    assert await subject.provider.find_charge(charge_of().idempotency_key) is None
    assert await subject.told() == []


async def test_a_key_that_nobody_used_is_no_charge(subject: Subject) -> None:
    assert await subject.provider.find_charge("never") is None


async def test_nothing_is_not_charged(subject: Subject) -> None:
    with pytest.raises(ProviderRefused):
        await subject.provider.charge(charge_of(amount=Money(0, "KRW")))


async def test_a_refund_succeeds_once_and_is_told(subject: Subject) -> None:
    charge = await subject.provider.charge(charge_of())
    first, again = [await subject.provider.refund(refund_of(charge.charge_id)) for _ in range(2)]

    assert first == again
    assert first.status == "succeeded"
    refunds = [event for event in await subject.told() if event.type == "refund.succeeded"]
    assert [(event.refund_id, event.charge_id, event.reference) for event in refunds] == [
        (first.refund_id, charge.charge_id, "account-1.invoice-1")
    ]


async def test_a_refund_may_fail(subject: Subject) -> None:
    charge = await subject.provider.charge(charge_of())
    await subject.rule(Rule(on="refund", refund_fails=True))

    assert (await subject.provider.refund(refund_of(charge.charge_id))).status == "failed"
    assert "refund.failed" in [event.type for event in await subject.told()]


async def test_no_more_is_refunded_than_was_charged(subject: Subject) -> None:
    charge = await subject.provider.charge(charge_of())
    await subject.provider.refund(refund_of(charge.charge_id, "r-1", Money(13_000, "KRW")))

    with pytest.raises(ProviderRefused, match="500 is left"):
        await subject.provider.refund(refund_of(charge.charge_id, "r-2", Money(501, "KRW")))
    await subject.provider.refund(refund_of(charge.charge_id, "r-3", Money(500, "KRW")))


@pytest.mark.parametrize("amount", [Money(100, "USD"), Money(0, "KRW")])
async def test_a_refund_of_another_currency_or_of_nothing_is_refused(subject: Subject, amount: Money) -> None:
    charge = await subject.provider.charge(charge_of())
    with pytest.raises(ProviderRefused, match="KRW"):
        await subject.provider.refund(refund_of(charge.charge_id, amount=amount))


async def test_only_a_charge_that_succeeded_is_refunded(subject: Subject) -> None:
    await subject.rule(Rule(decline_code="expired_card"))
    charge = await subject.provider.charge(charge_of())

    with pytest.raises(ProviderRefused, match="declined"):
        await subject.provider.refund(refund_of(charge.charge_id))
    with pytest.raises(ProviderRefused, match="no charge"):
        await subject.provider.refund(refund_of("ch_never"))


async def test_a_webhook_may_come_twice_with_one_event_id(subject: Subject) -> None:
    await subject.rule(Rule(webhook_copies=2))
    await subject.provider.charge(charge_of())

    told = await subject.told()
    assert len(told) == 2
    assert told[0] == told[1]


async def test_webhooks_may_overtake_each_other(subject: Subject) -> None:
    await subject.rule(Rule(on="any", webhook_reorder=True))
    charge = await subject.provider.charge(charge_of())
    await subject.provider.refund(refund_of(charge.charge_id))

    assert [event.type for event in await subject.told()] == ["refund.succeeded", "charge.succeeded"]
