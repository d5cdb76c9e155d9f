"""Bounds request bodies before anything is parsed: a middleware, so that no route can forget it."""

from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimitMiddleware:
    """Refuses a body over `max_bytes` as soon as it is known to be (413), and one that is compressed (415)."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        size: int | None = None

        async def receive_bounded() -> Message:
            nonlocal size
            if size is None:
                self._check(scope["headers"])
                size = 0
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._max_bytes:
                raise self._too_large()
            return message

        await self._app(scope, receive_bounded, send)

    def _check(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        # Raised from inside the app's own first read, where its exception handlers answer it.
        for name, value in headers:
            if name == b"content-length" and value.isdigit() and int(value) > self._max_bytes:
                raise self._too_large()
            if name == b"content-encoding" and value != b"identity":
                raise HTTPException(415, f"send the body as it is, without Content-Encoding {_shown(value)!r}")

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"a body may hold {self._max_bytes} bytes; split it")


def _shown(value: bytes) -> str:
    return value[:40].decode("latin-1")
