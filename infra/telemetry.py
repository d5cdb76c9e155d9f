"""What a running process says of itself: JSON logs with a correlation id, Prometheus metrics, and its three probes.

Every process serves GET /health (it runs), /ready (it can do its work) and /metrics.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Final

import structlog
import uvicorn
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.clock import monotonic_s
from infra.http.declared import Declared, Public
from infra.ids import new_id
from infra.redaction import redact
from infra.settings import Settings
from infra.sparing_logs import Sparing

log: structlog.stdlib.BoundLogger = structlog.get_logger()

CORRELATION_HEADER = "X-Correlation-Id"
CORRELATION_MAX_CHARS = 128
MOST_COUNTERS_KEPT = 256
BEGAN = "playhead.began"
"""Where a request's scope keeps when it began, monotonic; None: how long it takes is not counted any more."""
REQUESTS = Counter("playhead_http_requests_total", "Requests answered", ["method", "status"])
LATENCY = Histogram("playhead_http_request_seconds", "From request to reply", ["method"])

UNUSED_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own, which else looks for OpenTelemetry's providers on every request; this module is ours."""

Readiness = Callable[[], Awaitable[dict[str, str]]]
"""What is not ready, by name, with the reason; empty when all is."""


def configure_logs(settings: Settings) -> None:
    """Log to stderr: one JSON object a line, or lines for a person when log_json is off."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if settings.log_json else structlog.dev.ConsoleRenderer()
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    handler.addFilter(Sparing("aiokafka", "cassandra"))
    logging.basicConfig(handlers=[handler], level=settings.log_level, force=True)
    for noisy in ("aiokafka", "cassandra", "uvicorn.access", "faust", "mode", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class CorrelationMiddleware:
    """Takes or makes the correlation id of a request, binds it to the logs, returns it, and counts the request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._header = CORRELATION_HEADER.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation_id = self._given(scope) or new_id()
        scope["correlation_id"] = correlation_id
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id)
        scope[BEGAN] = monotonic_s()
        status = 500  # what is raised instead of sent is answered by problems.py, outside of all middleware

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (self._header, correlation_id.encode("latin-1"))]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            requests, latency = _counters(scope["method"], status)
            requests.inc()
            if scope[BEGAN] is not None:
                latency.observe(monotonic_s() - scope[BEGAN])

    def _given(self, scope: Scope) -> str | None:
        for name, value in scope["headers"]:
            if name == self._header and len(value) <= CORRELATION_MAX_CHARS and value.isascii():
                return str(value.decode())
        return None


def note_latency(scope: Scope) -> None:
    """Count now how long a reply took that begins, and goes on for long."""
    began = scope.get(BEGAN)
    if began is not None:
        scope[BEGAN] = None
        LATENCY.labels(scope["method"]).observe(monotonic_s() - began)


@lru_cache(maxsize=MOST_COUNTERS_KEPT)
def _counters(method: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, status), LATENCY.labels(method)


def probes(ready: Readiness) -> list[BaseRoute]:
    """The routes /health, /ready and /metrics."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "running"})

    async def readiness(_: Request) -> Response:
        missing = await ready()
        status = "not ready" if missing else "ready"
        return JSONResponse({"status": status, "missing": missing}, status_code=503 if missing else 200)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [
        Declared("/health", health, access=Public("an orchestrator asks whether the process runs")),
        Declared("/ready", readiness, access=Public("a load balancer asks whether to send requests here")),
        Declared("/metrics", metrics, access=Public("counts, and nothing of anybody; keep it inside the network")),
    ]


class ProbeServer:
    """Serves the probes of a process that has no HTTP of its own, on the loop that it runs on."""

    def __init__(self, settings: Settings, ready: Readiness) -> None:
        app = Starlette(routes=probes(ready))
        config = uvicorn.Config(
            app, host=settings.host, port=settings.probe_port, log_config=None, lifespan="off", server_header=False
        )
        self._server = uvicorn.Server(config)
        self._task: asyncio.Task[None] | None = None
        self._wanted = settings.probe_port != 0

    async def start(self) -> None:
        """Listen on the probe port, unless it is 0."""
        if self._wanted:
            # _serve, not serve: the signals of this process belong to its own work.
            self._task = asyncio.create_task(self._server._serve())

    async def stop(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._server.should_exit = True
            await self._task
