"""The fake provider over HTTP: who may use it, what it refuses, and how it tells by webhook."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from infra.payments.provider import ProviderRefused, ProviderUnavailable
from infra.payments.rules import RULES_MAX, Rule
from infra.payments.wire import ChargeBody
from tests.infra.payments.fakes import Stage, charge_of, refund_of, settings_of, staged

BODY = msgspec.json.encode(ChargeBody.of(charge_of()))


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(settings_of(tmp_path)) as opened:
        yield opened


@pytest.fixture
async def client(stage: Stage) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=stage.url, headers={"Authorization": f"Bearer {stage.keys.api_key}"})


@pytest.mark.parametrize("path", ["/v1/charges?idempotency_key=k", "/control/charges", "/control/webhooks"])
async def test_only_those_with_the_key_are_served(stage: Stage, path: str) -> None:
    async with httpx.AsyncClient(base_url=stage.url) as stranger:
        assert (await stranger.get(path)).status_code == 401
        assert (await stranger.get(path, headers={"Authorization": "Bearer wrong"})).status_code == 401
        assert (await stranger.get("/ready")).status_code == 200


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, BODY, 400),
        ({"Idempotency-Key": "k" * 256}, BODY, 400),
        ({"Idempotency-Key": "k"}, b"{}", 422),
        ({"Idempotency-Key": "k"}, b"{", 422),
        ({"Idempotency-Key": "k"}, b"\xff", 422),
        ({"Idempotency-Key": "k"}, b" " * 2_000_000, 413),
    ],
)
async def test_a_bad_request_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str], body: bytes, status: int
) -> None:
    assert (await client.post("/v1/charges", content=body, headers=headers)).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        {"rules": [{}] * (RULES_MAX + 1)},
        {"rules": [{"typo": True}]},
        {"rules": [{"share": 1.5}]},
        {"rules": [{"webhook_copies": 100}]},
        {"rules": [{"delay_ms": 10**9}]},
    ],
)
async def test_rules_are_bounded(client: httpx.AsyncClient, body: dict[str, object]) -> None:
    assert (await client.post("/control/rules", json=body)).status_code == 422


async def test_books_that_are_full_take_no_more(tmp_path: Path) -> None:
    async with staged(settings_of(tmp_path, fake_payments_max_charges=1, payments_max_tries=1)) as stage:
        await stage.provider.charge(charge_of("a"))
        with pytest.raises(ProviderUnavailable, match="507"):
            await stage.provider.charge(charge_of("b"))
        assert (await stage.provider.charge(charge_of("a"))).status == "succeeded"


async def test_it_takes_no_charge_whose_webhook_it_could_not_keep(tmp_path: Path) -> None:
    async with staged(settings_of(tmp_path, fake_payments_max_deliveries=1, payments_max_tries=1)) as stage:
        await stage.director.rule(Rule(delay_ms=60_000))
        await stage.provider.charge(charge_of("a"))
        with pytest.raises(ProviderUnavailable):
            await stage.provider.charge(charge_of("b"))
        assert (await stage.director.books()).charges_total == 1


async def test_the_books_say_whose_charge_it_is_and_come_in_pages(stage: Stage, client: httpx.AsyncClient) -> None:
    for n in range(3):
        await stage.provider.charge(charge_of(f"k{n}", f"account-{n}"))

    page = (await client.get("/control/charges?offset=1")).json()
    assert [(row["account_id"], row["idempotency_key"]) for row in page["charges"]] == [
        ("account-1", "k1"),
        ("account-2", "k2"),
    ]
    assert page["charges_total"] == 3
    assert (await client.get("/control/charges?offset=-1")).status_code == 422


async def test_a_webhook_that_is_not_taken_is_sent_again_until_it_is(stage: Stage) -> None:
    stage.receiver.answers = [503, 500, 401]
    await stage.provider.charge(charge_of())

    tried = (await stage.director.until_delivered()).tried
    assert [delivery.status for delivery in tried] == [503, 500, 401, 204]
    assert stage.receiver.types == ["charge.succeeded"]


async def test_a_webhook_that_is_never_taken_is_given_up(tmp_path: Path) -> None:
    async with staged(settings_of(tmp_path, fake_payments_delivery_max_tries=3)) as stage:
        stage.receiver.answers = [500] * 9
        await stage.provider.charge(charge_of())
        assert len((await stage.director.until_delivered()).tried) == 3


async def test_a_silent_rule_sends_no_webhook(stage: Stage) -> None:
    await stage.director.rule(Rule(webhook_copies=0))
    await stage.provider.charge(charge_of())
    assert (await stage.director.until_delivered()).tried == []


async def test_a_webhook_that_none_overtakes_comes_after_a_while(stage: Stage) -> None:
    await stage.director.rule(Rule(webhook_reorder=True))
    await stage.provider.charge(charge_of())
    await stage.director.until_delivered()
    assert stage.receiver.types == ["charge.succeeded"]


async def test_the_same_seed_and_key_make_the_same_ids(tmp_path: Path) -> None:
    ids = set()
    for run in ("first", "second"):
        async with staged(settings_of(tmp_path / run)) as stage:
            ids.add((await stage.provider.charge(charge_of())).charge_id)
    assert len(ids) == 1


async def test_a_pending_charge_is_not_refunded_yet(stage: Stage) -> None:
    await stage.director.rule(Rule(delay_ms=60_000))
    charge = await stage.provider.charge(charge_of())

    with pytest.raises(ProviderRefused, match="pending"):
        await stage.provider.refund(refund_of(charge.charge_id))
