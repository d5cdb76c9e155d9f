"""What the tests of payments share: requests, a director of the fake server, and a receiver of its webhooks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from events.types import Money
from infra.payments.http_provider import HttpPaymentProvider
from infra.payments.keys import PaymentKeys
from infra.payments.provider import ChargeRequest, RefundRequest, WebhookEvent
from infra.payments.rules import Rule
from infra.payments.webhooks import Webhooks
from infra.settings import Settings
from playhead.fake_control import Deliveries, Everything, Rules
from playhead.fake_payments import create_app
from tests.serving import serving

WON = Money(13_500, "KRW")


def charge_of(key: str = "invoice-1:1", account_id: str = "account-1", amount: Money = WON) -> ChargeRequest:
    return ChargeRequest(
        idempotency_key=key,
        account_id=account_id,
        reference=f"{account_id}.{key}",
        amount=amount,
        description="Premium",
    )


def refund_of(charge_id: str, key: str = "refund-1:1", amount: Money = WON) -> RefundRequest:
    return RefundRequest(idempotency_key=key, charge_id=charge_id, reference="account-1.invoice-1", amount=amount)


def settings_of(state_dir: Path, **changes: object) -> Settings:
    quick = {"payments_retry_base_s": 0.001, "payments_timeout_s": 2.0, "fake_payments_delivery_retry_max_s": 0.05}
    return Settings(state_dir=state_dir, **{**quick, **changes})  # type: ignore[arg-type]  # each is a setting


class Director:
    """Tells the fake server how to behave, and looks into its books."""

    def __init__(self, url: str, keys: PaymentKeys) -> None:
        self._client = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {keys.api_key}"})

    async def rule(self, *rules: Rule, seed: int = 0) -> None:
        body = msgspec.json.encode(Rules(list(rules), seed))
        (await self._client.post("/control/rules", content=body)).raise_for_status()

    async def books(self) -> Everything:
        reply = await self._client.get("/control/charges")
        return msgspec.json.decode(reply.raise_for_status().content, type=Everything)

    async def deliveries(self) -> Deliveries:
        reply = await self._client.get("/control/webhooks")
        return msgspec.json.decode(reply.raise_for_status().content, type=Deliveries)

    async def until_delivered(self) -> Deliveries:
        async with asyncio.timeout(10):
            while (seen := await self.deliveries()).waiting:
                await asyncio.sleep(0.01)
        return seen

    async def aclose(self) -> None:
        await self._client.aclose()


class Receiver:
    """Takes webhooks, verified; answers the first ones with `answers`, then 204."""

    def __init__(self, settings: Settings) -> None:
        self.events: list[WebhookEvent] = []
        self.answers: list[int] = []
        self._webhooks = Webhooks(PaymentKeys.load(settings), settings)
        self.app = Starlette(routes=[Route("/webhooks", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        event = self._webhooks.read(await request.body(), request.headers.get("Payments-Signature"))
        assert event is not None
        status = self.answers.pop(0) if self.answers else 204
        if status == 204:
            self.events.append(event)
        return Response(status_code=status)

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]


class Stage:
    """A fake server, the adapter that talks to it, and a receiver of its webhooks."""

    def __init__(self, settings: Settings, url: str, receiver: Receiver) -> None:
        keys = PaymentKeys.load(settings)
        self.url = url
        self.keys = keys
        self.receiver = receiver
        self.director = Director(url, keys)
        self.provider = HttpPaymentProvider(keys, settings.model_copy(update={"payments_url": url}))


@asynccontextmanager
async def staged(settings: Settings) -> AsyncIterator[Stage]:
    receiver = Receiver(settings)
    async with (
        serving(receiver.app) as target,
        serving(create_app(settings, webhook_url=f"{target}/webhooks")) as url,
    ):
        stage = Stage(settings, url, receiver)
        async with stage.provider:
            yield stage
        await stage.director.aclose()
