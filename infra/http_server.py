"""How HTTP is served: uvicorn with uvloop and httptools, bounded, drained on SIGTERM."""

import gc
import signal
import sys

import uvicorn
from starlette.applications import Starlette

from infra.settings import Settings
from infra.telemetry import configure_logs


def serve(app: Starlette, settings: Settings, *, port: int) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests that are under way."""
    configure_logs(settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again when it has drained: a clean end
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        limit_concurrency=settings.http_max_concurrency,
        timeout_keep_alive=settings.http_keep_alive_s,
        timeout_graceful_shutdown=int(settings.shutdown_grace_s),
    )
    gc.freeze()  # what was imported stays: no collection needs to look at it again
    uvicorn.Server(config).run()
