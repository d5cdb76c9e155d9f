"""Answers a request with the reply that was read for an equal one, while the views that it was read from stand where
they stood; and reads once for equal ones that come at the same time.

Middleware, inside of what tags and compresses. Every caller is asked for their token and scopes first; what is refused
then, or cannot be told, goes on to the route, which answers as if there were no cache.
"""

import asyncio
from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Final, NamedTuple

from fastapi import FastAPI
from prometheus_client import Counter
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.access.authentication import check_scope, principal
from infra.clock import epoch_s
from infra.http.cors import RawHeaders
from infra.http.problems import Refusal
from infra.http.representations import KEEPING, KEY, Whole, without_length
from infra.settings import Settings
from query_api.caching.keys import KeptRoute, KeptRoutes, is_decided, wanted
from query_api.caching.memory import Memory, Reply
from query_api.caching.places import Place, Places
from query_api.caching.turns import Turns

REQUESTS: Final = Counter(
    "playhead_reply_cache_requests_total",
    "Requests for replies that are kept: hit, joined (read for an equal one), miss (read), passed (not looked for)",
    ["path", "outcome"],
)
SHARED: Final = b"public, no-cache"
"""Other caches may keep such a reply, and answer with it when they have asked here whether it is still right."""


class Asked(NamedTuple):
    """A request as far as it decides its reply; where the views are, and until when the reply holds there."""

    key: Hashable
    place: Place
    until_s: float


class Reading(NamedTuple):
    """A reply that is being read, and until when it holds; None: it was not one to keep."""

    until_s: float
    reply: "asyncio.Future[Whole | None]"


class ReplyCache:
    """The middleware. `routes`: the app whose routes declare what is kept."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: FastAPI,
        places: Places,
        turns: Turns,
        settings: Settings,
        clock: Callable[[], float] = epoch_s,
    ) -> None:
        self._app = app
        self._of = routes
        self._clock = clock
        self._places = places
        self._turns = turns
        self._memory = Memory(settings)
        self._is_on = settings.reply_cache
        self._key_max_bytes = settings.reply_cache_key_max_bytes
        self._readings: dict[Hashable, Reading] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_asked = scope["type"] == "http" and scope["method"] == "GET"
        route = self._routes.find(scope["path"]) if is_asked else None
        if route is None:
            return await self._app(scope, receive, send)
        if route.how.shared:
            scope[KEEPING] = SHARED
        asked = await self._asked(route, scope) if self._is_on else None
        if asked is None:
            REQUESTS.labels(route.path, "passed").inc()
            return await self._app(scope, receive, send)
        whole, outcome = await self._known(asked)
        REQUESTS.labels(route.path, outcome).inc()
        if whole is None:
            return await self._read(asked, scope, receive, send)
        scope[KEY] = whole
        await send({"type": "http.response.start", "status": 200, "headers": whole.headers})
        await send({"type": "http.response.body", "body": whole.body})

    async def _asked(self, route: KeptRoute, scope: Scope) -> Asked | None:
        """What a request asks; None: it is refused, waits for a position, or nobody can tell until when it holds."""
        said, how = wanted(scope, self._key_max_bytes), route.how
        if said is None:
            return None
        try:
            caller = await principal(Request(scope))
            check_scope(caller, *route.needs.scopes)
            place = await self._places.now(how.topics)
            turns = () if said.says(how.timeless_with) else how.turns
            until_s = await self._turns.next_s(turns, how.topics, place)
        except (Refusal, TimeoutError):
            return None  # the route refuses in the same way, where refusals are rendered, or has more time
        return None if until_s is None else Asked(said.key(how, caller), place, until_s)

    async def _known(self, asked: Asked) -> tuple[Whole | None, str]:
        """The reply, if it is kept or somebody reads it now; and what to count."""
        whole = self._memory.get(asked.key, asked.place, self._clock())
        if whole is not None:
            return whole, "hit"
        reading = self._readings.get((asked.key, asked.place))
        if reading is not None and self._clock() < reading.until_s:
            whole = await asyncio.shield(reading.reply)  # who goes away does not take it from the others
        return whole, "miss" if whole is None else "joined"

    async def _read(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the route answer, and keep its reply."""
        reading = Reading(asked.until_s, asyncio.get_running_loop().create_future())
        first = self._readings.setdefault((asked.key, asked.place), reading)

        def read(whole: Whole | None) -> None:
            if whole is not None:
                scope[KEY] = whole
                self._memory.put(asked.key, Reply(whole, asked.place, asked.until_s))
            reading.reply.set_result(whole)

        try:
            await self._app(scope, receive, _Taking(send, read))
        finally:
            if not reading.reply.done():
                reading.reply.set_result(None)
            if first is reading:
                del self._readings[asked.key, asked.place]

    @cached_property
    def _routes(self) -> KeptRoutes:
        return KeptRoutes(self._of)


class _Taking:
    """Passes a reply on, and hands it to `read` when it is one to keep and comes whole; None as soon as it is another,
    so that nobody waits for the end of a long one.
    """

    __slots__ = ("_headers", "_read", "_send")

    def __init__(self, send: Send, read: Callable[[Whole | None], None]) -> None:
        self._send = send
        self._read = read
        self._headers: RawHeaders | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            is_kept = message["status"] == 200 and is_decided(message["headers"])
            self._headers = without_length(message["headers"]) if is_kept else None
        elif self._headers is not None:
            headers, self._headers = self._headers, None
            self._read(None if message.get("more_body") else Whole(headers, message.get("body", b"")))
        await self._send(message)
