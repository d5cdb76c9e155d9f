"""The demo's HTTP client: what a well-behaved app or dashboard does with 401, 503, Retry-After and positions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import aiohttp
import msgspec

from infra.clock import monotonic_s
from infra.positions import HEADER as POSITION_HEADER
from infra.positions import MOST_POSITIONS, Position, format_positions, parse_positions

REQUEST_TIMEOUT_S: Final = 10.0
KEEPS_TRYING_S: Final = 30.0
"""How long a client resends what the API cannot take at the moment, before it gives up."""
LONGEST_PAUSE_S: Final = 5.0
DEFAULT_PAUSE_S: Final = 0.5
TOO_MANY: Final = 429
TRANSIENT: Final = (TOO_MANY, 503)
UNAUTHENTICATED: Final = 401
PAGE_ROWS: Final = 100


class NotTaken(Exception):
    """The API did not take a request, or did not answer it, for as long as a client is patient."""


class Refused(Exception):
    """The API refused for good what it should have taken."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `tries`: how often it took to ask. `version`: of the stream that a command was about, or 0."""

    status: int
    body: bytes
    positions: tuple[Position, ...]
    retry_after_s: float
    tries: int = 1
    version: int = 0

    def json(self) -> Any:
        """The body, read."""
        return msgspec.json.decode(self.body)

    def taken(self, what: str, *statuses: int) -> Any:
        """The body of an answer that has one of these statuses. Raises Refused."""
        if self.status not in statuses:
            raise Refused(f"{what}: {self}")
        return self.json() if self.body else None

    def refuses(self, status: int, problem: str) -> bool:
        """Whether this is exactly that problem: its status, and the end of its type."""
        return self.status == status and bool(self.body) and str(self.json().get("type")).endswith(f"/{problem}")

    def __str__(self) -> str:
        return f"{self.status} {self.body[:400].decode(errors='replace')}"


class Bearer(Protocol):
    """Whoever asks, by the token that they have at the moment."""

    @property
    def token(self) -> str:
        """What is sent; empty for nobody."""

    @property
    def address(self) -> str:
        """Where they ask from: the demo is the proxy in front of the APIs, and says so for each."""

    async def renew(self, refused: str) -> bool:
        """Whether there is another token now than this one, which was answered with 401."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A token that lasts as long as it does, and cannot be renewed: a playback token, or one that was stolen. Without
    one: somebody who has not signed in.
    """

    token: str
    address: str

    async def renew(self, refused: str) -> bool:
        """It cannot be."""
        return False


class Api:
    """One of the two APIs, as `session` speaks to it. `limited`: how many answers were 429."""

    def __init__(self, session: aiohttp.ClientSession, url: str, patience_s: float = KEEPS_TRYING_S) -> None:
        self.url = url
        self.limited = 0
        self._session = session
        self._patience_s = patience_s

    async def post(
        self, path: str, bearer: Bearer, body: Callable[[], bytes], headers: Mapping[str, str] | None = None
    ) -> Reply:
        """POST until it is taken or refused for good; `body` is made afresh for each try. Raises NotTaken."""
        told = {"Content-Type": "application/json", **(headers or {})}
        return await self._asked(
            bearer, told, lambda all_: self._session.post(self.url + path, data=body(), headers=all_)
        )

    async def get(self, path: str, bearer: Bearer, positions: Iterable[Position] = ()) -> Reply:
        """GET; with positions, until the view has applied them. Raises NotTaken."""
        waited_for = list(positions)
        told = {POSITION_HEADER: format_positions(waited_for)} if waited_for else {}
        return await self._asked(bearer, told, lambda all_: self._session.get(self.url + path, headers=all_))

    async def get_once(self, path: str, bearer: Bearer) -> Reply | None:
        """GET, whatever the answer is; None when there is none."""
        reply, _ = await _answer(self._session.get(self.url + path, headers=_shown(bearer)))
        return reply

    async def reached(self, path: str, bearer: Bearer, positions: Iterable[Position]) -> None:
        """Return when the view behind `path` has applied all of these positions. Raises NotTaken."""
        wanted = list(positions)
        for begin in range(0, len(wanted), MOST_POSITIONS):
            await self.get(path, bearer, wanted[begin : begin + MOST_POSITIONS])

    async def items(self, path: str, bearer: Bearer) -> AsyncIterator[dict[str, Any]]:
        """All rows of a listing, page after page. Raises NotTaken."""
        cursor: str | None = ""
        while cursor is not None:
            query = f"{path}{'&' if '?' in path else '?'}limit={PAGE_ROWS}" + (f"&cursor={cursor}" if cursor else "")
            page = (await self.get(query, bearer)).json()
            for item in page["items"]:
                yield item
            cursor = page.get("next_cursor")

    async def _asked(self, bearer: Bearer, told: Mapping[str, str], ask: Callable[[Mapping[str, str]], Any]) -> Reply:
        """As an app does: what is answered with 401 is sent once more with a fresh token."""
        token = bearer.token
        reply = await self._patiently(lambda: ask({**_shown(bearer), **told}))
        if reply.status == UNAUTHENTICATED and await bearer.renew(token):
            return await self._patiently(lambda: ask({**_shown(bearer), **told}))
        return reply

    async def _patiently(self, ask: Callable[[], Any]) -> Reply:
        deadline_s = monotonic_s() + self._patience_s
        tries = 0
        while True:
            tries += 1
            reply, problem = await _answer(ask())
            if reply is not None and reply.status not in TRANSIENT:
                return Reply(reply.status, reply.body, reply.positions, 0.0, tries, reply.version)
            self.limited += reply is not None and reply.status == TOO_MANY
            pause_s = DEFAULT_PAUSE_S if reply is None else min(reply.retry_after_s, LONGEST_PAUSE_S)
            if monotonic_s() + pause_s > deadline_s:
                raise NotTaken(f"{self.url} did not take it within {self._patience_s:.0f} s: {problem}")
            await asyncio.sleep(pause_s)


def connect() -> aiohttp.ClientSession:
    """A client for all viewers together, with their connections kept."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),  # as many as there are players: each has its own
        timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
    )


async def _answer(asking: Any) -> tuple[Reply | None, str]:
    try:
        async with asking as response:
            reply = await _read(response)
            return reply, f"{reply.status} {reply.body[:300].decode(errors='replace')}"
    except (aiohttp.ClientError, TimeoutError) as error:
        return None, f"{type(error).__name__} {error}"


async def _read(response: aiohttp.ClientResponse) -> Reply:
    positions = response.headers.get(POSITION_HEADER)
    return Reply(
        response.status,
        await response.read(),
        tuple(parse_positions(positions)) if positions else (),
        _seconds(response.headers.get("Retry-After")),
        version=_number(response.headers.get("ETag", "")),
    )


def _number(etag: str) -> int:
    text = etag.strip('"')
    return int(text) if text.isdecimal() else 0


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isdigit() else DEFAULT_PAUSE_S


def _shown(bearer: Bearer) -> dict[str, str]:
    token = {"Authorization": f"Bearer {bearer.token}"} if bearer.token else {}
    return {"X-Forwarded-For": bearer.address, **token}
