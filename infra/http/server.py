"""How HTTP is served: uvicorn with uvloop and httptools, bounded, drained on SIGTERM, over TLS if so configured."""

import gc
import signal
import sys
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette

from infra.http.protocol import protocol_of
from infra.settings import Settings
from infra.telemetry import configure_logs

HARD_LIMIT_FACTOR: Final = 2
"""At so many times http_max_concurrency uvicorn itself refuses, before a request is looked at, in plain text."""

COLLECTED_AFTER: Final = (10_000, 20, 20)
"""A request leaves nothing that only the garbage collector finds, so that it seldom has to look."""


def serve(app: Starlette, settings: Settings, *, port: int) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests that are under way."""
    configure_logs(settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again when it has drained: a clean end
    config = config_of(app, settings, port=port)
    gc.freeze()  # what was imported stays: no collection needs to look at it again
    gc.set_threshold(*COLLECTED_AFTER)
    uvicorn.Server(config).run()


def config_of(app: Starlette, settings: Settings, *, port: int) -> uvicorn.Config:
    """What uvicorn is told."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=port,
        loop="uvloop",
        http=protocol_of(settings),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # infra/http/client_address.py believes them, from trusted proxies alone
        backlog=settings.http_backlog,
        limit_concurrency=HARD_LIMIT_FACTOR * settings.http_max_concurrency + settings.live_streams_max,
        timeout_keep_alive=settings.http_keep_alive_s,
        timeout_graceful_shutdown=int(settings.shutdown_grace_s),
        ssl_certfile=_named(settings.http_tls_certificate_file),
        ssl_keyfile=_named(settings.http_tls_key_file),
    )


def _named(file: Path | None) -> str | None:
    return None if file is None else str(file)
