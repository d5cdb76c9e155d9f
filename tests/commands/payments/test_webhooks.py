"""POST /v1/payments/webhooks: each answer that the provider can get."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from commands.app import create_app
from commands.handling import VersionConflict
from commands.payments.routes import EXAMPLE
from infra.clock import utc_now
from infra.payments.keys import PaymentKeys
from infra.payments.provider import WebhookEvent
from infra.payments.signatures import HEADER, sign
from infra.publisher import KafkaUnavailable
from infra.settings import Settings

PATH = "/v1/payments/webhooks"
BODY = msgspec.json.encode(EXAMPLE)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, payments_webhook_timeout_s=0.05)


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://commands") as client:
        yield client


@pytest.fixture
def taken(app: FastAPI) -> list[WebhookEvent]:
    """The events that reached the handler."""
    events: list[WebhookEvent] = []

    async def record(event: WebhookEvent) -> None:
        events.append(event)

    app.state.on_payment_event = record
    return events


def signed(settings: Settings, body: bytes = BODY, *, at: datetime | None = None) -> dict[str, str]:
    return {HEADER: sign(body, secrets=PaymentKeys.load(settings).webhook_secrets, at=at or utc_now())}


def problem(reply: httpx.Response) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/problem+json"
    return reply.status_code, reply.json()["type"].rpartition("/")[2]


async def test_a_signed_webhook_is_handed_on_and_answered_204(
    client: httpx.AsyncClient, settings: Settings, taken: list[WebhookEvent]
) -> None:
    reply = await client.post(PATH, content=BODY, headers=signed(settings))

    assert (reply.status_code, reply.content) == (204, b"")
    assert taken == [msgspec.convert(EXAMPLE, WebhookEvent)]
    assert taken[0].occurred_at == datetime(2026, 3, 1, 0, 0, 4, tzinfo=UTC)


async def test_an_unknown_type_is_answered_204_and_not_handed_on(
    client: httpx.AsyncClient, settings: Settings, taken: list[WebhookEvent]
) -> None:
    body = msgspec.json.encode({**EXAMPLE, "type": "payout.created"})

    assert (await client.post(PATH, content=body, headers=signed(settings, body))).status_code == 204
    assert taken == []


@pytest.mark.parametrize("headers", [{}, {HEADER: "t=1,v1=" + "0" * 64}, {HEADER: "\xff"}])
async def test_an_unsigned_webhook_is_refused(
    client: httpx.AsyncClient, taken: list[WebhookEvent], headers: dict[str, str]
) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    reply = await client.post(PATH, content=BODY, headers=raw)

    assert problem(reply) == (401, "webhook-signature-invalid")
    assert reply.headers["www-authenticate"] == HEADER
    assert taken == []


async def test_another_body_under_a_signature_is_refused(
    client: httpx.AsyncClient, settings: Settings, taken: list[WebhookEvent]
) -> None:
    reply = await client.post(PATH, content=BODY + b" ", headers=signed(settings))
    assert problem(reply) == (401, "webhook-signature-invalid")
    assert taken == []


@pytest.mark.parametrize("off", [timedelta(hours=-1), timedelta(hours=1)])
async def test_a_stale_webhook_is_refused(
    client: httpx.AsyncClient, settings: Settings, taken: list[WebhookEvent], off: timedelta
) -> None:
    reply = await client.post(PATH, content=BODY, headers=signed(settings, at=utc_now() + off))
    assert problem(reply) == (400, "webhook-stale")
    assert taken == []


async def test_a_signed_webhook_of_another_shape_is_refused(
    client: httpx.AsyncClient, settings: Settings, taken: list[WebhookEvent]
) -> None:
    body = msgspec.json.encode({**EXAMPLE, "amount": "13500"})
    reply = await client.post(PATH, content=body, headers=signed(settings, body))
    assert problem(reply) == (400, "webhook-malformed")
    assert "amount" in reply.json()["detail"]
    assert taken == []


async def test_a_webhook_that_is_too_large_is_refused(client: httpx.AsyncClient, settings: Settings) -> None:
    body = b" " * (settings.payments_webhook_max_bytes + 1)
    reply = await client.post(PATH, content=body, headers=signed(settings, body))
    assert problem(reply) == (413, "body-too-large")


async def test_without_anyone_who_records_it_is_to_come_again(client: httpx.AsyncClient, settings: Settings) -> None:
    reply = await client.post(PATH, content=BODY, headers=signed(settings))
    assert problem(reply) == (503, "payment-not-recorded")
    assert int(reply.headers["retry-after"]) == settings.retry_after_s


@pytest.mark.parametrize("refusal", [VersionConflict("moved on"), KafkaUnavailable("away")])
async def test_what_could_not_be_recorded_is_to_come_again(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, refusal: Exception
) -> None:
    async def record(_: WebhookEvent) -> None:
        raise refusal

    app.state.on_payment_event = record
    reply = await client.post(PATH, content=BODY, headers=signed(settings))
    assert problem(reply) == (503, "payment-not-recorded")


async def test_recording_that_hangs_is_given_up_in_time(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings
) -> None:
    async def record(_: WebhookEvent) -> None:
        await asyncio.sleep(60)

    app.state.on_payment_event = record
    reply = await client.post(PATH, content=BODY, headers=signed(settings))
    assert problem(reply) == (503, "payment-not-recorded")


async def test_a_store_that_is_away_is_to_come_again(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings
) -> None:
    async def record(_: WebhookEvent) -> None:
        raise ConnectionError("refused")

    app.state.on_payment_event = record
    reply = await client.post(PATH, content=BODY, headers=signed(settings))
    assert problem(reply) == (503, "store-unavailable")


def test_the_route_is_documented_with_an_example_and_its_refusals(app: FastAPI) -> None:
    document: dict[str, Any] = app.openapi()
    operation = document["paths"][PATH]["post"]

    assert operation["requestBody"]["content"]["application/json"]["example"] == EXAMPLE
    assert {"WebhookEvent", "Money"} <= document["components"]["schemas"].keys()
    assert {"204", "400", "401", "413", "415", "503"} <= operation["responses"].keys()
    assert [parameter["name"] for parameter in operation["parameters"]] == [HEADER]
