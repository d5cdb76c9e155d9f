"""Reads no body of somebody who may not send one: a route's Needs are checked when its body is first asked for.

FastAPI parses a body before it looks at a route's dependencies, so without this a stranger would be told what is wrong
with their JSON, and could have us read a megabyte of it.
"""

from functools import cached_property

from fastapi import FastAPI
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.access.authentication import Needs
from infra.http.access_table import access_table


class Gate:
    """Middleware, inside of all others. `routes`: the app whose routes it stands in front of."""

    def __init__(self, app: ASGIApp, *, routes: FastAPI) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = False

        async def receive_gated() -> Message:
            nonlocal is_open
            if not is_open:
                # What this raises is rendered by problems.py, where FastAPI has wrapped it.
                is_open = True
                needs = self._needs.get(scope.get("endpoint"))
                if needs is not None:
                    await needs(Request(scope))
            return await receive()

        await self._app(scope, receive_gated if scope["type"] == "http" else receive, send)

    @cached_property
    def _needs(self) -> dict[object, Needs]:
        return {row.endpoint: row.access for row in access_table(self._routes) if isinstance(row.access, Needs)}
