"""The short way for reports: FastAPI and the search for a route take longer over a report than the report itself.

What it takes is answered as the routes would, refusals included; it stands inside the middleware that bounds bodies
and counts requests. Every other request, another method on the same path too, goes on to the routes.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from commands.playback.collecting import collect
from commands.playback.reporting import ENDPOINTS as REPORTING

ENDPOINTS: Final = {**REPORTING, "cmcd": collect}
PATH: Final = re.compile(r"/v1/playback/sessions/([^/]+)/([a-z]+)")


class ShortWay:
    """Middleware that answers reports, stops and CMCD. `handlers`: the app's, which render what is raised."""

    def __init__(self, app: ASGIApp, *, handlers: Mapping[Any, Any]) -> None:
        self._app = app
        expected = {what: handler for what, handler in handlers.items() if what is not Exception}
        self._take = ExceptionMiddleware(_take, handlers=expected)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = PATH.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if path is None or path[2] not in ENDPOINTS:
            await self._app(scope, receive, send)
            return
        scope["path_params"] = {"session_id": path[1]}
        scope["endpoint"] = ENDPOINTS[path[2]]
        await self._take(scope, receive, send)


async def _take(scope: Scope, receive: Receive, send: Send) -> None:
    response = await scope["endpoint"](Request(scope, receive))
    await response(scope, receive, send)
