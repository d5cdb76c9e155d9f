"""The short way to continue watching: FastAPI's own work on a request costs three times what this read does.

A plain request (no Playhead-Position, nothing but a limit in its query) that is allowed is answered here, with what
the route would answer. Every other one, and every refusal, goes on to the route.
"""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.access.authentication import principal
from infra.http.problems import Refusal
from infra.positions import HEADER
from infra.settings import Settings
from query_api.authorization import check_profile
from query_api.playback.continue_watching import Asked, continue_watching_json, viewer_of
from query_api.sources import Sources

PATH: Final = re.compile(r"/v1/profiles/([A-Za-z0-9_.:-]{1,128})/continue-watching")
QUERY: Final = re.compile(rb"(?:limit=([1-9][0-9]{0,5}))?")


class PlainRequests:
    """Middleware, inside the one that counts requests."""

    def __init__(self, app: ASGIApp, *, sources: Sources, settings: Settings) -> None:
        self._app = app
        self._sources = sources
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = PATH.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        reply = await self._reply(Request(scope), path[1]) if path else None
        await (self._app if reply is None else reply)(scope, receive, send)

    async def _reply(self, request: Request, profile_id: str) -> Response | None:
        query = QUERY.fullmatch(request.scope["query_string"])
        limit = int(query[1] or self._settings.page_default_rows) if query else 0
        if not 1 <= limit <= self._settings.page_max_rows or HEADER in request.headers:
            return None
        try:
            caller = await principal(request)
            check_profile(caller, profile_id)
            viewer = viewer_of(caller, profile_id, self._sources.territories.of(request.scope))
            body = await continue_watching_json(self._sources, Asked(profile_id, viewer, limit))
        except Refusal:
            return None  # the route refuses in the same way, where refusals are rendered
        return Response(body, media_type="application/json")
