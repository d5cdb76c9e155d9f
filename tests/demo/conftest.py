"""What the demo's logic tests share."""

from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from playhead.demo.api import Api, connect
from tests.demo.answering import Busy


@pytest.fixture
async def speak() -> AsyncIterator[Callable[[Busy, float], Api]]:
    """Makes a client of an API that answers so."""
    app = web.Application()
    busy: list[Busy] = []

    async def answer(request: web.Request) -> web.Response:
        return await busy[0].answer(request)

    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server, connect() as session:

        def client(answering: Busy, patience_s: float = 5.0) -> Api:
            busy.append(answering)
            return Api(session, str(server.make_url("")).rstrip("/"), patience_s)

        yield client
