"""The outermost layer of both APIs: where a request comes from, who may read the reply, and how a browser treats it.

It stands outside of the app's own error handling, so that a 500 carries its headers too.
"""

from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.clock import epoch_s
from infra.http.client_address import KEY, Proxies
from infra.http.cors import Cors, RawHeaders
from infra.http.problems import OVERLOADED, Problem, response_of
from infra.http.rate_limiting import RateLimits, headers_of
from infra.http.rate_limits import Limiter
from infra.http.request_bounds import RequestBounds
from infra.settings import Settings
from infra.telemetry import CorrelationMiddleware

PROBES: Final = frozenset({"/health", "/ready", "/metrics"})
SECURITY: Final[RawHeaders] = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cross-origin-resource-policy", b"same-site"),
]
"""On every reply."""
UNLESS_SAID: Final[RawHeaders] = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]
"""On every reply of a route that says nothing else."""
UNLESS_SAID_NAMES: Final = frozenset(name for name, _ in UNLESS_SAID)
PLACE: Final = "playhead.place"
"""Where a request's scope keeps who counts it among those under way; None: it has left."""
HSTS: Final = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")


def fence(app: FastAPI, settings: Settings) -> Limiter:
    """Put everything around an app that stands between it and the world. What the app added before is inside of it."""
    limiter = Limiter(epoch_s, max_keys=settings.rate_keys_max)
    app.add_middleware(RateLimits, limiter=limiter, settings=settings)
    app.add_middleware(RequestBounds, settings=settings)
    app.add_middleware(CorrelationMiddleware)
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: Perimeter(AtMost(build(), settings), settings)  # type: ignore[method-assign]
    return limiter


class Perimeter:
    """The layer. `settings` name the trusted proxies and the allowed origins."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._proxies = Proxies(settings.trusted_proxies)
        self._cors = Cors(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[KEY] = self._proxies.client(scope)
        added = self._cors.headers(scope)
        if self._proxies.is_tls(scope):
            added.append(HSTS)

        async def send_fenced(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", [])
                message["headers"] = [*headers, *SECURITY, *added, *_unsaid(headers), *headers_of(scope)]
            await send(message)

        preflight = self._cors.preflight(scope)
        if preflight is None:
            await self._app(scope, receive, send_fenced)
            return
        status, headers, body = preflight
        await send_fenced({"type": "http.response.start", "status": status, "headers": headers})
        await send_fenced({"type": "http.response.body", "body": body})


def _unsaid(headers: RawHeaders) -> RawHeaders:
    said = {name for name, _ in headers}
    return UNLESS_SAID if said.isdisjoint(UNLESS_SAID_NAMES) else [each for each in UNLESS_SAID if each[0] not in said]


class AtMost:
    """Answers a request that would be one too many at a time with a problem, before any work is done for it; probes are
    answered, or an orchestrator would end what is merely busy."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._most = settings.http_max_concurrency
        self._headers = {"Retry-After": str(settings.retry_after_s), "Connection": "close"}
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._most:
            detail = f"{self._most} requests are under way here; ask again"
            await response_of(Problem(OVERLOADED, detail, scope["path"]), self._headers)(scope, receive, send)
            return
        self._under_way += 1
        scope[PLACE] = self
        try:
            await self._app(scope, receive, send)
        finally:
            self.leave(scope)

    def leave(self, scope: Scope) -> None:
        """Count a request no longer, if it still is."""
        if scope[PLACE] is not None:
            scope[PLACE] = None
            self._under_way -= 1


def leave_place(scope: Scope) -> None:
    """Let a request that goes on for long take no place of others: who answers it bounds how many there are."""
    counting: AtMost | None = scope.get(PLACE)
    if counting is not None:
        counting.leave(scope)
