"""The short way takes reports and stops, and nothing else; what it answers is proved with the commands API."""

import pytest
from starlette.types import Receive, Scope, Send

from commands.playback.short_way import ShortWay


@pytest.mark.parametrize(
    ("kind", "method", "path"),
    [
        ("http", "GET", "/v1/playback/sessions/session-1/events"),
        ("http", "POST", "/v1/playback/sessions"),
        ("http", "POST", "/v1/playback/sessions/session-1/other"),
        ("http", "POST", "/v1/playback/sessions/session/1/events"),
        ("http", "POST", "/v1/playback/sessions//events"),
        ("http", "POST", "/v1/playback/sessions/session-1/events/"),
        ("http", "POST", "/mounted/v1/playback/sessions/session-1/events"),
        ("lifespan", "", ""),
    ],
)
async def test_other_requests_go_on_to_the_routes(kind: str, method: str, path: str) -> None:
    went_on: list[Scope] = []

    async def routes(scope: Scope, receive: Receive, send: Send) -> None:
        went_on.append(scope)

    scope: Scope = {"type": kind, "method": method, "path": path}
    await ShortWay(routes, handlers={})(scope, _unread, _unsent)
    assert went_on == [scope]


async def _unread() -> dict[str, object]:
    raise AssertionError("nothing reads here")


async def _unsent(_: object) -> None:
    raise AssertionError("nothing answers here")
