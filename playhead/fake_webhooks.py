"""The fake provider's webhooks: signed, sent until they are taken, and as late, often or disordered as a rule says."""

import asyncio
from collections import deque
from collections.abc import Callable

import httpx
import msgspec
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from infra.clock import Clock, utc_now
from infra.payments.keys import PaymentKeys
from infra.payments.provider import WebhookEvent
from infra.payments.rules import Rule
from infra.payments.signatures import HEADER, sign
from infra.settings import Settings
from infra.telemetry import log

HELD_MAX_S = 1.0
RETRY_BASE_S = 0.05
NO_ANSWER = 0
SENT_KEPT = 10_000
CONCURRENCY = 20


class Delivery(msgspec.Struct, frozen=True):
    """One try of one webhook; `status` is the answer, 0 when there was none."""

    event_id: str
    type: str
    status: int


class _NotTaken(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class WebhookSender:
    """Sends to one URL. Bounded: `full` says when no more fit. The latest SENT_KEPT tries are in `sent`."""

    def __init__(self, url: str, keys: PaymentKeys, settings: Settings, clock: Clock = utc_now) -> None:
        self.sent: deque[Delivery] = deque(maxlen=SENT_KEPT)
        self._url = url
        self._keys = keys
        self._settings = settings
        self._clock = clock
        self._overtaken: asyncio.Event | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._client = httpx.AsyncClient(timeout=settings.payments_timeout_s, trust_env=False)

    @property
    def full(self) -> bool:
        """Whether as many webhooks wait as may."""
        return len(self._under_way) >= self._settings.fake_payments_max_deliveries

    @property
    def waiting(self) -> int:
        """Webhooks not delivered yet."""
        return len(self._under_way)

    def follow(self, settle: Callable[[], WebhookEvent], rule: Rule) -> None:
        """Settle a charge or a refund when the rule says, and tell of it as the rule says."""
        task = asyncio.create_task(self._follow(settle, rule))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def aclose(self) -> None:
        """Send no more."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def _follow(self, settle: Callable[[], WebhookEvent], rule: Rule) -> None:
        await asyncio.sleep((rule.delay_ms or 0) / 1_000)
        event = settle()
        if rule.webhook_reorder and self._overtaken is None:
            await self._hold()
            await self._send(event, rule)
        else:
            await self._send(event, rule)
            if self._overtaken is not None:
                self._overtaken.set()

    async def _hold(self) -> None:
        self._overtaken = asyncio.Event()
        try:
            await asyncio.wait_for(self._overtaken.wait(), HELD_MAX_S)
        except TimeoutError:
            log.info("fake_webhook_not_overtaken")
        finally:
            self._overtaken = None

    async def _send(self, event: WebhookEvent, rule: Rule) -> None:
        body = msgspec.json.encode(event)
        for _ in range(rule.webhook_copies):
            trying = AsyncRetrying(
                stop=stop_after_attempt(self._settings.fake_payments_delivery_max_tries),
                wait=wait_exponential(RETRY_BASE_S, self._settings.fake_payments_delivery_retry_max_s),
                retry=retry_if_exception_type(_NotTaken),
                reraise=True,
            )
            try:
                await trying(self._try, event, body)
            except _NotTaken as error:
                log.warning("fake_webhook_given_up", event_id=event.event_id, status=error.status)

    async def _try(self, event: WebhookEvent, body: bytes) -> None:
        async with self._slots:
            status = await self._post(body)
        self.sent.append(Delivery(event.event_id, event.type, status))
        if not 200 <= status < 300:
            raise _NotTaken(status)

    async def _post(self, body: bytes) -> int:
        signature = sign(body, secrets=self._keys.webhook_secrets, at=self._clock())
        headers = {HEADER: signature, "Content-Type": "application/json"}
        try:
            return (await self._client.post(self._url, content=body, headers=headers)).status_code
        except httpx.TransportError:
            return NO_ANSWER
