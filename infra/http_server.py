"""How HTTP is served: uvicorn with uvloop and httptools, bounded, drained on SIGTERM, over TLS if so configured."""

import gc
import signal
import sys
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.http_protocol import protocol_of
from infra.problems import Problem, ProblemKind, response_of
from infra.settings import Settings
from infra.telemetry import configure_logs

OVERLOADED: Final = ProblemKind(503, "overloaded", "This process serves as many requests as it may")
HARD_LIMIT_FACTOR: Final = 2
"""At so many times http_max_concurrency uvicorn itself refuses, before a request is looked at, in plain text."""


def serve(app: Starlette, settings: Settings, *, port: int) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests that are under way."""
    configure_logs(settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again when it has drained: a clean end
    config = config_of(app, settings, port=port)
    gc.freeze()  # what was imported stays: no collection needs to look at it again
    uvicorn.Server(config).run()


def config_of(app: Starlette, settings: Settings, *, port: int) -> uvicorn.Config:
    """What uvicorn is told."""
    return uvicorn.Config(
        AtMost(app, settings),
        host=settings.host,
        port=port,
        loop="uvloop",
        http=protocol_of(settings),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # infra/client_address.py believes them, from trusted proxies alone
        backlog=settings.http_backlog,
        limit_concurrency=HARD_LIMIT_FACTOR * settings.http_max_concurrency,
        timeout_keep_alive=settings.http_keep_alive_s,
        timeout_graceful_shutdown=int(settings.shutdown_grace_s),
        ssl_certfile=_named(settings.http_tls_certificate_file),
        ssl_keyfile=_named(settings.http_tls_key_file),
    )


class AtMost:
    """Answers a request that would be one too many at a time with a problem, before any work is done for it."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._most = settings.http_max_concurrency
        self._headers = {"Retry-After": str(settings.retry_after_s), "Connection": "close"}
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._most:
            detail = f"{self._most} requests are under way here; ask again"
            await response_of(Problem(OVERLOADED, detail, scope["path"]), self._headers)(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1


def _named(file: Path | None) -> str | None:
    return None if file is None else str(file)
