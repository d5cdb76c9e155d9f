"""What continue watching is compared with: Starlette and redis.asyncio around one GET of the finished reply, and
nothing else. No tokens, no rules, no limits, no metrics. `python -m tests.benchmarks.bare_continue_watching`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from infra.settings import settings

KEY = "bench_continue_watching:{{{}}}"
"""Where the reply to a profile is."""


async def read(request: Request) -> Response:
    """Read, and reply."""
    body = await request.app.state.redis.get(KEY.format(request.path_params["profile_id"]))
    return Response(body, media_type="application/json")


async def ready(_: Request) -> Response:
    """It has nothing to wait for."""
    return Response()


@asynccontextmanager
async def _connected(app: Starlette) -> AsyncIterator[None]:
    app.state.redis = redis.asyncio.Redis.from_url(settings().redis_url)
    yield
    await app.state.redis.aclose()


if __name__ == "__main__":
    app = Starlette(
        routes=[Route("/v1/profiles/{profile_id}/continue-watching", read), Route("/ready", ready)],
        lifespan=_connected,
    )
    uvicorn.run(app, port=settings().query_port, loop="uvloop", http="httptools", log_level="warning", access_log=False)
