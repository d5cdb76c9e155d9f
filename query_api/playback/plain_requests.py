"""The short way to continue watching: FastAPI's own work on a request costs three times what this read does.

A plain request (no Playhead-Position, nothing but a limit in its query) that is allowed is answered here, with what
the route would answer. Every other one, and every refusal, goes on to the route.
"""

import re
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.access.authentication import principal
from infra.http.cors import value_of
from infra.http.problems import Refusal
from infra.http.representations import KEY, Whole
from infra.positions import HEADER
from infra.settings import Settings
from query_api.authorization import check_profile
from query_api.playback.continue_watching import viewer_of
from query_api.playback.continue_watching_kept import Asked
from query_api.playback.continue_watching_reply import continue_watching_reply
from query_api.sources import Sources

PATH: Final = re.compile(r"/v1/profiles/([A-Za-z0-9_.:-]{1,128})/continue-watching")
POSITION: Final = HEADER.lower().encode()
QUERY: Final = re.compile(rb"(?:limit=([1-9][0-9]{0,5}))?")


class PlainRequests:
    """Middleware, inside the one that counts requests."""

    def __init__(self, app: ASGIApp, *, sources: Sources, settings: Settings) -> None:
        self._app = app
        self._sources = sources
        self._most = settings.page_max_rows
        self._default = min(settings.page_default_rows, settings.page_max_rows)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = PATH.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        reply = await self._reply(scope, path[1]) if path else None
        if reply is None:
            await self._app(scope, receive, send)
            return
        scope[KEY] = reply
        length = (b"content-length", b"%d" % len(reply.body))
        await send({"type": "http.response.start", "status": 200, "headers": [*reply.headers, length]})
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, scope: Scope, profile_id: str) -> Whole | None:
        query = QUERY.fullmatch(scope["query_string"])
        limit = int(query[1] or self._default) if query else 0
        if not 1 <= limit <= self._most or value_of(scope, POSITION) is not None:
            return None
        try:
            caller = await principal(Request(scope))
            check_profile(caller, profile_id)
            viewer = viewer_of(caller, profile_id, self._sources.territories.of(scope))
            return await continue_watching_reply(self._sources, Asked(profile_id, viewer, limit))
        except Refusal:
            return None  # the route refuses in the same way, where refusals are rendered
