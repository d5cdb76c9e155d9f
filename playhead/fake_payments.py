"""`playhead fake-payments`: a payment provider that talks HTTP and takes nobody's money, for demos and tests.

/v1/charges and /v1/refunds are what Playhead's adapter speaks. /control/... is for whoever directs the play:
POST rules to make it misbehave, GET charges and webhooks to compare. Everything takes the installation's API key.
"""

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from infra.clock import utc_now
from infra.http.request_bounds import RequestBounds
from infra.http.server import serve
from infra.payments.books import Books, NotBooked
from infra.payments.keys import PaymentKeys
from infra.payments.provider import Charge, Refund
from infra.payments.rules import RULES_MAX, Operation, Rule, RuleBook
from infra.payments.wire import CHARGES, IDEMPOTENCY_KEY, REFUNDS, ChargeBody, FoundCharges, RefundBody
from infra.settings import Settings
from playhead.fake_control import Booked, Deliveries, Everything, Rules
from playhead.fake_webhooks import WebhookSender

KEY_MAX_CHARS = 255
CONTROL_MAX_ROWS = 10_000

T = TypeVar("T")


class LostReply(Response):
    """A reply that breaks off: its headers promise a body that never comes, so the server drops the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the promise only."""
        await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"1000")]})


class FakeProvider:
    """The routes' state and their work."""

    def __init__(self, settings: Settings, *, webhook_url: str, seed: int = 0) -> None:
        self._keys = PaymentKeys.load(settings)
        self.books = Books(utc_now, seed=seed, max_entries=settings.fake_payments_max_charges)
        self.rules = RuleBook(seed=seed)
        self.sender = WebhookSender(webhook_url, self._keys, settings)

    async def charge(self, request: Request) -> Response:
        """POST /v1/charges."""
        key, body = _key(request), await _body(request, ChargeBody)
        rule = self._rule("charge", key, body.account_id)
        reply, new = self.books.charge(body.request(key), rule)
        if new:
            self.sender.follow(lambda: self.books.settle_charge(key), rule)
        return _reply(reply, rule)

    async def find(self, request: Request) -> Response:
        """GET /v1/charges?idempotency_key="""
        key = request.query_params.get("idempotency_key", "")
        self._rule("find", key, None)
        found = self.books.find(key)
        return _json(FoundCharges([found] if found else []))

    async def refund(self, request: Request) -> Response:
        """POST /v1/refunds."""
        key, body = _key(request), await _body(request, RefundBody)
        rule = self._rule("refund", key, self.books.account_of(body.charge_id))
        reply, new = self.books.refund(body.request(key), rule)
        if new:
            self.sender.follow(lambda: self.books.settle_refund(key), rule)
        return _reply(reply, rule)

    async def set_rules(self, request: Request) -> Response:
        """POST /control/rules."""
        body = await _body(request, Rules)
        if len(body.rules) > RULES_MAX:
            raise HTTPException(422, f"at most {RULES_MAX} rules")
        self.rules = RuleBook(body.rules, body.seed)
        return Response(status_code=204)

    async def show_charges(self, request: Request) -> Response:
        """GET /control/charges?offset=: up to CONTROL_MAX_ROWS of each, oldest first."""
        asked = request.query_params.get("offset", "0")
        if not (asked.isascii() and asked.isdigit() and len(asked) < 10):
            raise HTTPException(422, "offset is a count")
        page = slice(int(asked), int(asked) + CONTROL_MAX_ROWS)
        charges, refunds = list(self.books.charges.entries.values()), list(self.books.refunds.entries.values())
        return _json(
            Everything(
                charges=[Booked(row.request.account_id, row.request.idempotency_key, row.now) for row in charges[page]],
                refunds=[row.now for row in refunds[page]],
                charges_total=len(charges),
                refunds_total=len(refunds),
            )
        )

    async def show_webhooks(self, _: Request) -> Response:
        """GET /control/webhooks."""
        return _json(Deliveries(list(self.sender.sent), self.sender.waiting))

    def authorized(self, route: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """The route, for those who show the API key."""

        async def checked(request: Request) -> Response:
            given = request.headers.get("authorization", "").encode("latin-1")
            if not hmac.compare_digest(given, f"Bearer {self._keys.api_key}".encode()):
                raise HTTPException(401, "show the API key: Authorization: Bearer <key>")
            return await route(request)

        return checked

    def _rule(self, operation: Operation, key: str, account_id: str | None) -> Rule:
        rule = self.rules.take(operation, key=key, account_id=account_id)
        if rule.unavailable or self.sender.full:
            wait = {} if rule.retry_after_s is None else {"Retry-After": str(rule.retry_after_s)}
            raise HTTPException(503, "down, as a rule says or since too many webhooks wait", wait)
        return rule


def create_app(settings: Settings, *, webhook_url: str, seed: int = 0) -> Starlette:
    """The fake provider as an app."""
    provider = FakeProvider(settings, webhook_url=webhook_url, seed=seed)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await provider.sender.aclose()

    served = [
        (CHARGES, provider.charge, "POST"),
        (CHARGES, provider.find, "GET"),
        (REFUNDS, provider.refund, "POST"),
        ("/control/rules", provider.set_rules, "POST"),
        ("/control/charges", provider.show_charges, "GET"),
        ("/control/webhooks", provider.show_webhooks, "GET"),
    ]
    routes = [Route(path, provider.authorized(route), methods=[method]) for path, route, method in served]
    routes.append(Route("/ready", _ready))
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={NotBooked: _not_booked})
    app.add_middleware(RequestBounds, settings=settings)
    return app


def run(settings: Settings, *, port: int, webhook_url: str, seed: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    serve(create_app(settings, webhook_url=webhook_url, seed=seed), settings, port=port)


async def _ready(_: Request) -> Response:
    return Response(b'{"status":"ready"}', media_type="application/json")


async def _not_booked(_: Request, error: Exception) -> Response:
    assert isinstance(error, NotBooked)
    return Response(str(error), status_code=error.status, media_type="text/plain")


def _key(request: Request) -> str:
    key = request.headers.get(IDEMPOTENCY_KEY, "")
    if not 0 < len(key) <= KEY_MAX_CHARS:
        raise HTTPException(400, f"send an {IDEMPOTENCY_KEY} of at most {KEY_MAX_CHARS} characters")
    return key


async def _body(request: Request, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.body(), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HTTPException(422, str(error)) from error


def _reply(made: Charge | Refund, rule: Rule) -> Response:
    if rule.lose_reply == "drop":
        return LostReply()
    if rule.lose_reply == "error":
        raise HTTPException(500, "lost, as a rule says")
    return _json(made, status=201)


def _json(value: msgspec.Struct, *, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")
