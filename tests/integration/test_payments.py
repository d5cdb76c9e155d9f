"""`playhead fake-payments` as a process of its own, telling the commands API's webhook route what it did."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from commands.app import create_app
from infra.payments.http_provider import HttpPaymentProvider
from infra.payments.keys import PaymentKeys
from infra.payments.provider import Charge, ChargeRequest, ProviderUnavailable, WebhookEvent
from infra.payments.rules import Rule
from infra.publisher import KafkaUnavailable
from infra.settings import Settings, environment_of_child
from tests.infra.payments.fakes import Director, charge_of, refund_of, settings_of
from tests.query_api.test_process import ROOT, free_port
from tests.serving import serving

pytestmark = pytest.mark.integration

START_S = 20.0


@dataclass
class Ledger:
    """Records what the webhooks tell, once for an event id, unless it is told to be away."""

    settled: dict[str, WebhookEvent] = field(default_factory=dict)
    arrivals: list[str] = field(default_factory=list)
    away: int = 0

    async def record(self, event: WebhookEvent) -> None:
        if self.away:
            self.away -= 1
            raise KafkaUnavailable("away")
        self.arrivals.append(event.type)
        self.settled.setdefault(event.event_id, event)


@dataclass
class Town:
    """The provider's process, the adapter that talks to it, and the ledger behind the webhook route."""

    process: subprocess.Popen[bytes]
    director: Director
    provider: HttpPaymentProvider
    ledger: Ledger


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    settings = settings_of(tmp_path, payments_url=f"http://127.0.0.1:{free_port()}")
    app = create_app(settings)
    ledger = Ledger()
    app.state.on_payment_event = ledger.record
    async with (
        serving(app, lifespan="off") as url,
        HttpPaymentProvider(PaymentKeys.load(settings), settings) as provider,
    ):
        process = fake_payments(settings, f"{url}/v1/payments/webhooks")
        try:
            await until_ready(settings.payments_url)
            director = Director(settings.payments_url, PaymentKeys.load(settings))
            yield Town(process, director, provider, ledger)
            await director.aclose()
        finally:
            process.kill()
            process.wait()


def fake_payments(settings: Settings, webhook_url: str) -> subprocess.Popen[bytes]:
    port = settings.payments_url.rpartition(":")[2]
    command = [sys.executable, "-m", "playhead", "fake-payments", "--port", port, "--webhook-url", webhook_url]
    environment = environment_of_child(state_dir=settings.state_dir, fake_payments_delivery_retry_max_s=0.1)
    return subprocess.Popen(command, cwd=ROOT, env=environment)


async def until_ready(url: str) -> None:
    async with asyncio.timeout(START_S), httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                assert (await client.get(f"{url}/ready")).status_code == 200
                return
            except httpx.TransportError:
                await asyncio.sleep(0.05)


async def until_charged(town: Town, request: ChargeRequest) -> Charge:
    """What a caller does who was told that the outcome is unknown: ask again, under the same key."""
    async with asyncio.timeout(START_S):
        while True:
            try:
                return await town.provider.charge(request)
            except ProviderUnavailable:
                await asyncio.sleep(0.01)


async def test_a_hundred_charges_under_every_fault_are_each_told_once_as_they_ended(town: Town) -> None:
    await town.director.rule(
        Rule(on="any", share=0.1, unavailable=True),
        Rule(share=0.15, lose_reply="drop", webhook_copies=2),
        Rule(share=0.1, lose_reply="error", delay_ms=50),
        Rule(share=0.2, decline_code="insufficient_funds", webhook_reorder=True),
        Rule(share=0.3, delay_ms=30, decline_code="expired_card"),
        Rule(webhook_copies=3),
        seed=4,
    )
    town.ledger.away = 20

    await asyncio.gather(*(until_charged(town, charge_of(f"k{n}", f"account-{n}")) for n in range(100)))
    await town.director.until_delivered()

    books = await town.director.books()
    told = {event.charge_id: event for event in town.ledger.settled.values()}
    assert books.charges_total == len(town.ledger.settled) == 100
    for row in books.charges:
        event = told[row.charge.charge_id]
        assert event.type == f"charge.{row.charge.status}"
        assert (event.amount, event.reference) == (row.charge.amount, row.charge.reference)
        assert event.decline_code == row.charge.decline_code
    assert len(town.ledger.arrivals) > 100  # the duplicates did arrive
    assert Counter(row.charge.status for row in books.charges).keys() == {"succeeded", "declined"}


async def test_a_webhook_that_could_not_be_recorded_comes_again(town: Town) -> None:
    town.ledger.away = 3
    await town.provider.charge(charge_of())

    tried = (await town.director.until_delivered()).tried
    assert [delivery.status for delivery in tried] == [503, 503, 503, 204]
    assert town.ledger.arrivals == ["charge.succeeded"]


async def test_news_may_arrive_out_of_order(town: Town) -> None:
    await town.director.rule(Rule(on="any", webhook_reorder=True))
    charge = await town.provider.charge(charge_of())
    await town.provider.refund(refund_of(charge.charge_id))

    await town.director.until_delivered()
    assert town.ledger.arrivals == ["refund.succeeded", "charge.succeeded"]


async def test_it_ends_cleanly_on_sigterm(town: Town) -> None:
    town.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(town.process.wait, 10) == 0
