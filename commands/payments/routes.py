"""POST /v1/payments/webhooks: what the payment provider tells, verified, and handed to whoever records it.

An app says so once: `install(app, settings)`, and `app.state.on_payment_event = handler`. The handler returns when the
event is recorded, was before, or is not ours; whatever it raises makes the provider send the event again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import msgspec
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from commands import errors
from commands.payments.refusals import PaymentNotRecorded
from events.refusals import Refusal
from infra.http.declared import Bearing
from infra.http.openapi import refusals
from infra.http.problems import BODY_TOO_LARGE, ENCODING_UNSUPPORTED
from infra.payments.keys import PaymentKeys
from infra.payments.provider import WebhookEvent
from infra.payments.signatures import HEADER, WebhookSignatureInvalid, WebhookStale
from infra.payments.webhooks import WebhookMalformed, Webhooks
from infra.settings import Settings
from infra.telemetry import log

OnPaymentEvent: TypeAlias = Callable[[WebhookEvent], Awaitable[None]]
"""Records an event of the payment provider. An event_id may come many times, and events of a charge in any order."""

EXAMPLE: Final = {
    "event_id": "evt_9f2c61d0a7",
    "type": "charge.succeeded",
    "reference": "invoice-2026-03-account-1",
    "charge_id": "ch_51b0c3e29d",
    "amount": {"amount_minor": 13_500, "currency": "KRW"},
    "occurred_at": "2026-03-01T00:00:04Z",
}
SCHEMA: Final = {"$ref": "#/components/schemas/WebhookEvent"}
REFUSALS: Final = (WebhookSignatureInvalid, WebhookStale, WebhookMalformed, PaymentNotRecorded)
DOCUMENTED: Final[dict[str, Any]] = {  # FastAPI's own type for openapi_extra
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "required": True,
            "schema": {"type": "string"},
            "example": "t=1772323204,v1=" + "5f" * 32,
            "description": "v1: HMAC-SHA256 of `<t>.<body>` by the shared secret, in hex; several while it is rotated.",
        }
    ],
    "requestBody": {"required": True, "content": {"application/json": {"schema": SCHEMA, "example": EXAMPLE}}},
}

router = APIRouter(
    prefix="/v1/payments", tags=["payments"], dependencies=[Depends(Bearing("the payment provider's signature"))]
)


def install(app: FastAPI, settings: Settings) -> None:
    """Serve the webhooks of the provider that this installation shares secrets with."""
    app.state.payment_webhooks = Webhooks(PaymentKeys.load(settings), settings)
    app.state.payment_settings = settings
    app.state.on_payment_event = None
    app.include_router(router)
    _document(app)


@router.post(
    "/webhooks",
    status_code=204,
    responses=refusals(
        BODY_TOO_LARGE,
        ENCODING_UNSUPPORTED,
        errors.STORE_UNAVAILABLE,
        *(errors.PROBLEMS[refusal] for refusal in REFUSALS),
    ),
    openapi_extra=DOCUMENTED,
)
async def take_webhook(request: Request) -> Response:
    """Take news of a charge or a refund: 204 when it is recorded, was before, or means nothing to us."""
    settings: Settings = request.app.state.payment_settings
    webhooks: Webhooks = request.app.state.payment_webhooks
    body = await request.body()
    if len(body) > settings.payments_webhook_max_bytes:
        raise HTTPException(413, f"a webhook may hold {settings.payments_webhook_max_bytes} bytes")
    event = webhooks.read(body, request.headers.get(HEADER))
    if event is not None:
        await _record(request.app.state.on_payment_event, event, settings)
    return Response(status_code=204)


async def _record(record: OnPaymentEvent | None, event: WebhookEvent, settings: Settings) -> None:
    again = {"Retry-After": str(settings.retry_after_s)}
    if record is None:
        raise PaymentNotRecorded("nothing here records payments yet; send it again", headers=again)
    try:
        async with asyncio.timeout(settings.payments_webhook_timeout_s):
            await record(event)
    except (Refusal, TimeoutError) as error:
        # A conflict or a slow store passes; a refusal for good would be our mistake, so it is logged, not swallowed.
        log.warning("payment_event_not_recorded", event_id=event.event_id, type=event.type, reason=repr(error))
        raise PaymentNotRecorded(f"not recorded ({type(error).__name__}); send it again", headers=again) from error


def _document(app: FastAPI) -> None:
    generate: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        _, found = msgspec.json.schema_components((WebhookEvent,), ref_template="#/components/schemas/{name}")
        document["components"]["schemas"].update(found)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents to extend it
