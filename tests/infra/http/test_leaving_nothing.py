"""What a request leaves when it is over: nothing that only the garbage collector would find."""

import gc
from collections.abc import Iterator
from weakref import ref

import pytest
from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.http.perimeter import fence
from infra.settings import Settings


class Mark:
    """Stands for all that a request's scope holds."""


class Answering:
    """Middleware that answers, as those do that take a short way."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Response("{}")(scope, receive, send)


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("headers", [[], [(b"content-encoding", b"gzip"), (b"content-length", b"7")]])
async def test_what_a_request_held_is_free_as_soon_as_it_is_answered(
    uncollected: None, headers: list[tuple[bytes, bytes]]
) -> None:
    app = FastAPI(openapi_url=None)
    app.add_middleware(Answering)
    fence(app, Settings())
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    mark = Mark()
    of_mark = ref(mark)
    await app(
        {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "path": "/v1/any",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "mark": mark,
        },
        receive,
        send,
    )
    del mark
    assert sent[0]["status"] == 200
    assert of_mark() is None
