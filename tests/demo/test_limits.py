"""A demo viewer who is told that every stream is taken gives one up; what an ended session is sent counts as taken."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from playhead.demo.api import Api, Refused, Reply
from playhead.demo.ledger import Ledger
from playhead.demo.people.register import Register
from playhead.demo.watching.by_hand import watched_on
from playhead.demo.watching.evening_clock import EveningClock
from playhead.demo.watching.player import CONFLICT, GONE, Living, Viewer
from playhead.demo.watching.script import PHONE
from playhead.demo.watching.sitting import Title
from tests.demo.answering import Busy
from tests.demo.evenings import session, watched
from tests.demo.test_walls import person, problem

Speak = Callable[..., Api]
FILM = Title("film", "A film", 600_000)
TAKEN = {"session_id": "before", "device_name": "Laptop", "termination_code": "code-1"}
GRANTED = {"session_id": "now", "playback_token": "token"}


def viewer(api: Api, ledger: Ledger, directory: Path) -> Viewer:
    someone = person(api, Register(ledger), directory)
    return Viewer(0, someone, Living(1, api, EveningClock(5, 3_600_000), ledger))


async def test_a_viewer_gives_up_the_oldest_stream_for_the_next(speak: Speak, tmp_path: Path) -> None:
    full = problem(CONFLICT, "stream-limit-reached", streams=[TAKEN])
    busy = Busy(full, lambda: web.json_response(GRANTED, status=201))
    ledger = Ledger()
    ledger.sessions["before"] = before = session(FILM)

    granted = await viewer(speak(busy), ledger, tmp_path).start(watched_on(FILM, PHONE))

    assert granted is not None and granted[1].token == "token"
    assert [msgspec.json.decode(body)["terminate"] for body in busy.bodies] == [[], ["code-1"]]
    assert before.terminated and ledger.refused == []


@pytest.mark.parametrize("body", [b"", b'{"results": [{"status": "ok"}, {"status": "ok"}]}'])
async def test_what_comes_for_an_ended_session_is_acknowledged(body: bytes, speak: Speak, tmp_path: Path) -> None:
    ledger, ended = Ledger(), session(FILM)
    player = viewer(speak(Busy(web.Response)), ledger, tmp_path)
    assert player.take_in(ended, watched(0, 0, 10), Reply(GONE, body, (), 0.0)) == []
    assert sorted(ended.moments) == [0, 1] and ended.terminated is bool(body)


async def test_a_report_of_a_removed_device_was_not_taken(speak: Speak, tmp_path: Path) -> None:
    player = viewer(speak(Busy(web.Response)), Ledger(), tmp_path)
    removed = Reply(GONE, b'{"type": "https://playhead.example/problems/session-terminated"}', (), 0.0)
    with pytest.raises(Refused, match="session-terminated"):
        player.take_in(session(FILM), watched(0, 0, 10), removed)
