"""The demo's HTTP client: what a well-behaved player, editor or dashboard does with 503, Retry-After and positions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec

from infra.clock import monotonic_s
from infra.permissions import Principal
from infra.positions import HEADER as POSITION_HEADER
from infra.positions import MOST_POSITIONS, Position, format_positions, parse_positions
from infra.settings import Settings
from infra.tokens import Tokens

REQUEST_TIMEOUT_S: Final = 10.0
KEEPS_TRYING_S: Final = 30.0
"""How long a client resends what the API cannot take at the moment, before it gives up."""
LONGEST_PAUSE_S: Final = 5.0
DEFAULT_PAUSE_S: Final = 0.5
TRANSIENT: Final = (429, 503)
PAGE_ROWS: Final = 100


class NotTaken(Exception):
    """The API did not take a request, or did not answer it, for as long as a client is patient."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `tries`: how often it took to ask."""

    status: int
    body: bytes
    positions: tuple[Position, ...]
    retry_after_s: float
    tries: int = 1

    def json(self) -> Any:
        """The body, read."""
        return msgspec.json.decode(self.body)


class Api:
    """One of the two APIs, as `session` speaks to it."""

    def __init__(self, session: aiohttp.ClientSession, url: str, patience_s: float = KEEPS_TRYING_S) -> None:
        self.url = url
        self._session = session
        self._patience_s = patience_s

    async def post(
        self, path: str, token: str, body: Callable[[], bytes], headers: Mapping[str, str] | None = None
    ) -> Reply:
        """POST until it is taken or refused for good; `body` is made afresh for each try. Raises NotTaken."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **(headers or {})}
        return await self._patiently(lambda: self._session.post(self.url + path, data=body(), headers=headers))

    async def get(self, path: str, token: str, positions: Iterable[Position] = ()) -> Reply:
        """GET; with positions, until the view has applied them. Raises NotTaken."""
        headers = {"Authorization": f"Bearer {token}"}
        if waited_for := list(positions):
            headers[POSITION_HEADER] = format_positions(waited_for)
        return await self._patiently(lambda: self._session.get(self.url + path, headers=headers))

    async def get_once(self, path: str, token: str) -> Reply | None:
        """GET, whatever the answer is; None when there is none."""
        reply, _ = await _answer(self._session.get(self.url + path, headers={"Authorization": f"Bearer {token}"}))
        return reply

    async def reached(self, path: str, token: str, positions: Iterable[Position]) -> None:
        """Return when the view behind `path` has applied all of these positions. Raises NotTaken."""
        wanted = list(positions)
        for begin in range(0, len(wanted), MOST_POSITIONS):
            await self.get(path, token, wanted[begin : begin + MOST_POSITIONS])

    async def items(self, path: str, token: str) -> AsyncIterator[dict[str, Any]]:
        """All rows of a listing, page after page. Raises NotTaken."""
        cursor: str | None = ""
        while cursor is not None:
            query = f"{path}?limit={PAGE_ROWS}" + (f"&cursor={cursor}" if cursor else "")
            page = (await self.get(query, token)).json()
            for item in page["items"]:
                yield item
            cursor = page.get("next_cursor")

    async def _patiently(self, ask: Callable[[], Any]) -> Reply:
        deadline_s = monotonic_s() + self._patience_s
        tries = 0
        while True:
            tries += 1
            reply, problem = await _answer(ask())
            if reply is not None and reply.status not in TRANSIENT:
                return Reply(reply.status, reply.body, reply.positions, 0.0, tries)
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
    )


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isdigit() else DEFAULT_PAUSE_S


def account_of(profile_id: str) -> str:
    """The account of a viewer, who has one to themselves; an id has at most 64 characters."""
    return f"acc-of-{profile_id}"


class Badges:
    """The access tokens of the demo's people, minted with the installation's development key."""

    def __init__(self, settings: Settings) -> None:
        self._tokens = Tokens(settings)
        self.editor = self._mint(subject="demo-editor", roles=("editor",))
        self.operator = self._mint(subject="demo-operator", roles=("operator",))
        self.billing = self._mint(subject="demo-billing", roles=("billing",))

    def viewer(self, profile_id: str) -> str:
        """Of a viewer with an account of their own."""
        return self._mint(subject=profile_id, account_id=account_of(profile_id), profile_id=profile_id)

    def _mint(self, **who: Any) -> str:
        return self._tokens.mint_access(Principal(**who))
