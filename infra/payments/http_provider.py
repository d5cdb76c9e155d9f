"""The adapter: a payment provider over HTTP.

Each request is tried a bounded number of times under one idempotency key. What the provider answers is believed only
for the amount and the invoice that were asked.
"""

import asyncio
import re
from types import TracebackType
from typing import Final, TypeVar

import httpx
import msgspec
from prometheus_client import Counter
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from events.types import Money
from infra.payments.keys import PaymentKeys
from infra.payments.provider import (
    Charge,
    ChargeRequest,
    ProviderContradicted,
    ProviderRefused,
    ProviderUnavailable,
    Refund,
    RefundRequest,
)
from infra.payments.wire import CHARGES, IDEMPOTENCY_KEY, REFUNDS, ChargeBody, FoundCharges, RefundBody
from infra.settings import Settings

REQUESTS = Counter(
    "playhead_payment_requests_total", "Tries of requests to the provider", ["method", "path", "outcome"]
)
TRY_AGAIN: Final = frozenset({408, 425, 429})
EXPLANATION_MAX_BYTES: Final = 300

T = TypeVar("T")


class HttpPaymentProvider:
    """A PaymentProvider. Open it with `async with`, or close it with aclose()."""

    def __init__(self, keys: PaymentKeys, settings: Settings) -> None:
        self._settings = settings
        self._backoff = wait_random_exponential(settings.payments_retry_base_s, settings.payments_retry_max_s)
        self._client = httpx.AsyncClient(
            base_url=settings.payments_url,
            headers={"Authorization": f"Bearer {keys.api_key}"},
            timeout=settings.payments_timeout_s,
            limits=httpx.Limits(max_connections=settings.payments_max_connections),
            follow_redirects=False,  # the key goes to nobody else
            trust_env=False,  # where requests go is a setting
        )

    async def charge(self, request: ChargeRequest) -> Charge:
        """Charge. When the replies to every try are lost, what became of it is looked up."""
        try:
            charge = await self._post(CHARGES, request.idempotency_key, ChargeBody.of(request), Charge)
        except ProviderUnavailable as unknown:
            charge = await self._look_up(request.idempotency_key, unknown)
        _check(charge.amount, request.amount, about=charge.reference, meant=request.reference)
        return charge

    async def refund(self, request: RefundRequest) -> Refund:
        """Refund. When the replies are lost, asking again under the same key tells what became of it."""
        refund = await self._post(REFUNDS, request.idempotency_key, RefundBody.of(request), Refund)
        _check(refund.amount, request.amount, about=refund.charge_id, meant=request.charge_id)
        return refund

    async def find_charge(self, idempotency_key: str) -> Charge | None:
        """The charge made under a key."""
        return await self._find(idempotency_key, tries=self._settings.payments_max_tries)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> "HttpPaymentProvider":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _look_up(self, key: str, unknown: ProviderUnavailable) -> Charge:
        try:
            found = await self._find(key, tries=1)
        except (ProviderUnavailable, ProviderRefused) as error:
            raise unknown from error  # a refused look-up says nothing of the charge
        if found is None:
            raise unknown
        return found

    async def _post(self, path: str, key: str, body: msgspec.Struct, reply: type[T]) -> T:
        if not (key.isascii() and key.isprintable()):
            raise ProviderRefused("an idempotency key is a header: printable ASCII")
        headers = {IDEMPOTENCY_KEY: key, "Content-Type": "application/json"}
        request = self._client.build_request("POST", path, content=msgspec.json.encode(body), headers=headers)
        trying = self._trying(self._settings.payments_max_tries)
        try:
            return await trying(self._try, request, reply)
        except ProviderRefused as refused:
            if trying.statistics["attempt_number"] == 1:
                raise
            # An earlier try may have done it, so this is not known to be undone.
            raise ProviderUnavailable(f"{refused}, after a try without an answer") from refused

    async def _find(self, key: str, *, tries: int) -> Charge | None:
        request = self._client.build_request("GET", CHARGES, params={"idempotency_key": key})
        found: FoundCharges = await self._trying(tries)(self._try, request, FoundCharges)
        return found.charges[0] if found.charges else None

    def _trying(self, tries: int) -> AsyncRetrying:
        return AsyncRetrying(
            stop=stop_after_attempt(tries),
            wait=self._pause_s,
            retry=retry_if_exception(self._worth_a_try),
            reraise=True,
        )

    def _worth_a_try(self, error: BaseException) -> bool:
        # A provider that asks for a longer pause than we make gets it from the caller, who comes back later.
        return (
            isinstance(error, ProviderUnavailable) and (error.retry_after_s or 0) <= self._settings.payments_retry_max_s
        )

    def _pause_s(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ProviderUnavailable) and error.retry_after_s is not None:
            return error.retry_after_s
        return self._backoff(state)

    async def _try(self, request: httpx.Request, reply: type[T]) -> T:
        outcome = "no_reply"
        try:
            async with asyncio.timeout(self._settings.payments_timeout_s):  # httpx bounds each read, not their sum
                response, body = await self._exchange(request)
            outcome = str(response.status_code)
            return _read(response, body, reply)
        except (httpx.TransportError, TimeoutError) as error:
            raise ProviderUnavailable(f"no whole reply: {type(error).__name__}") from error
        finally:
            REQUESTS.labels(request.method, request.url.path, outcome).inc()

    async def _exchange(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        response = await self._client.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > self._settings.payments_reply_max_bytes:
                    raise ProviderUnavailable("the reply is longer than any of the provider's")
            return response, bytes(body)
        finally:
            await response.aclose()


def _read(response: httpx.Response, body: bytes, reply: type[T]) -> T:
    status = response.status_code
    if status >= 500 or status in TRY_AGAIN:
        raise ProviderUnavailable(f"the provider answered {status}", retry_after_s=_retry_after_s(response))
    if not response.is_success:
        raise ProviderRefused(
            f"the provider answered {status}: {body[:EXPLANATION_MAX_BYTES].decode(errors='replace')}"
        )
    try:
        return msgspec.json.decode(body, type=reply)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # It said yes to something: whether to what was asked is found out later, not guessed.
        raise ProviderUnavailable(f"the reply cannot be read: {error}") from error


def _retry_after_s(response: httpx.Response) -> float | None:
    # Its other form, a date, would need both clocks to agree; our own pause does for that.
    given = response.headers.get("Retry-After", "")
    return float(given) if re.fullmatch(r"[0-9]{1,6}", given) else None


def _check(answered: Money, asked: Money, *, about: str, meant: str) -> None:
    if answered != asked:
        raise ProviderContradicted(f"asked for {asked}, answered for {answered}")
    if about != meant:
        raise ProviderContradicted(f"asked about {meant}, answered about {about}")
