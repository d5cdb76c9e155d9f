"""Real players in a real browser: what they report by CMCD from pages of another origin stands in the timeline of their
session, through processes as they are deployed.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from commands.playback.grants import Grant
from events.playback import SessionSnapshot
from events.types import ProfileId, SessionId
from infra.access.tokens import Tokens
from infra.clock import utc_now
from infra.migrate import migrate
from infra.settings import Settings
from projections.stores.cassandra import CassandraStore
from tests import builders
from tests.browser import equipment
from tests.browser.cinema import Cinema
from tests.integration.conftest import settings_for
from tests.integration.projection_workers import PlayheadProcess, begin_here, eventually, free_port
from tests.integration.query_api_stores import viewer
from tests.servers import Servers

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(equipment.missing() is not None, reason=str(equipment.missing())),
]

PLAYERS: Final = tuple(equipment.SCRIPTS)
KEYSPACE: Final = "browser"
SHOWN_WITHIN_S: Final = 40.0
PATIENCE_S: Final = 45.0
WATCHED: Final = {"hls.js": ["p", "a", "p", "k", "r", "p", "e"], "dash.js": ["p", "a", "p", "e"]}
"""The states that each must tell of, in this order, whatever others come between. Shaka as it is published tells none
(its build renames the key)."""


class Evening:
    """What each player's session is, how it went in the browser, and what the query API shows of it."""

    def __init__(self, settings: Settings, query: str) -> None:
        self.sessions = {name: _session(name) for name in PLAYERS}
        self.told: dict[str, dict[str, Any]] = {}
        self.deviations: set[tuple[str, str]] = set()
        self._settings = settings
        self._query = query

    def collectors(self, commands: str) -> dict[str, str]:
        """The URL that each player is configured with."""
        tokens, until = Tokens(self._settings), utc_now() + timedelta(hours=1)
        return {
            name: f"{commands}/v1/playback/sessions/{each.session_id}/cmcd"
            f"?token={tokens.mint_playback(Grant(session=each), until)}"
            for name, each in self.sessions.items()
        }

    async def shown(self, player: str, what: str) -> list[dict[str, Any]]:
        """All items that the query API has of a session."""
        session = self.sessions[player]
        token = Tokens(self._settings).mint_access(viewer(session.profile_id))
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        async with httpx.AsyncClient(base_url=self._query, headers={"Authorization": f"Bearer {token}"}) as client:
            while cursor is not None:
                asked = {"cursor": cursor} if cursor else {}
                reply = await client.get(f"/v1/playback/sessions/{session.session_id}/{what}", params=asked)
                if reply.status_code == 404:
                    return []
                page = reply.raise_for_status().json()
                found += page["items"]
                cursor = page.get("next_cursor")
        return found

    async def has_left(self) -> bool:
        """Whether what every player said last is shown."""
        shown = [await self.shown(name, "timeline") for name in PLAYERS]
        return all(
            len(items) >= len(self.told[name]["statuses"]) > 0 for name, items in zip(PLAYERS, shown, strict=True)
        )


def _session(player: str) -> SessionSnapshot:
    return builders.session(
        SessionId(str(uuid4())),
        profile_id=ProfileId(str(uuid4())),
        started_at=utc_now(),
        device=builders.device(player=player),
    )


@contextmanager
def process(name: tuple[str, ...], live: Settings, directory: Path, port: int, **told: object) -> Iterator[str]:
    """A process of Playhead that serves at a port."""
    started = PlayheadProcess(name, live, directory, cassandra_keyspace=KEYSPACE, **told)
    started.port = port
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        started.close()


@pytest.fixture(scope="module")
async def evening(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Evening]:
    state = tmp_path_factory.mktemp("state")
    stream = tmp_path_factory.mktemp("stream")
    live = settings_for(servers, state, cassandra_keyspace=KEYSPACE)
    await migrate(live, lambda _: None)
    await begin_here(live, CassandraStore(live, ()))
    equipment.film(stream)
    cinema = Cinema(stream)
    with ExitStack() as stack:
        stack.callback(cinema.close)
        commands_port, query_port = free_port(), free_port()
        origins = json.dumps([cinema.origin])
        commands = stack.enter_context(
            process(("commands",), live, state, commands_port, commands_port=commands_port, cors_origins=origins)
        )
        query = stack.enter_context(process(("query-api",), live, state, query_port, query_port=query_port))
        stack.enter_context(process(("projections", "cassandra"), live, state, free_port()))
        for url in (commands, query):
            await eventually(lambda url=url: _is_ready(url))  # type: ignore[misc]
        evening = Evening(live, query)
        collectors = evening.collectors(commands)
        evening.told = cinema.play(collectors, tmp_path_factory.mktemp("chromium"), patience_s=PATIENCE_S)
        await eventually(evening.has_left, SHOWN_WITHIN_S)
        evening.deviations = await _deviations(commands)
        yield evening


async def _is_ready(url: str) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"{url}/ready")).status_code == 200
        except httpx.HTTPError:
            return False


async def _deviations(url: str) -> set[tuple[str, str]]:
    """Who was mended how, by the metrics of the commands process."""
    async with httpx.AsyncClient() as client:
        metrics = (await client.get(f"{url}/metrics")).text
    found = re.findall(r'^playhead_cmcd_deviations_total{deviation="(\w+)",player="([^"]+)"}', metrics, re.MULTILINE)
    return {(player, deviation) for deviation, player in found}


def said(items: list[dict[str, Any]], *events: str) -> list[dict[str, Any]]:
    """The records of some events, in the order of their numbers."""
    return sorted((each["cmcd"] for each in items if each["cmcd"]["e"] in events), key=lambda each: int(each["sn"]))


@pytest.mark.parametrize("player", PLAYERS)
async def test_what_a_real_player_reports_is_in_its_sessions_timeline(evening: Evening, player: str) -> None:
    told = evening.told[player]
    assert "error" not in told, told
    assert told["at_s"] > equipment.STREAM_S - 1, "it played to the end"
    assert set(told["statuses"]) == {204}, "which a page of another origin can read"
    items = await evening.shown(player, "timeline")
    assert {item["source"] for item in items} == {"cmcd:default"}
    assert len(items) == len(told["statuses"])
    assert len(said(items, "t")) >= 4
    assert len(said(items, "rr")) >= 5
    assert {each["record"]["cid"] for each in said(items, "t", "rr")} == {"film"}
    assert any(each["buffer_ms"] or each["bitrate_kbps"] for each in said(items, "rr"))
    assert all(each["response_code"] == 200 and each["ttlb_ms"] is not None for each in said(items, "rr"))
    assert not any(item["cmcd"]["time_adjusted"] for item in items)


@pytest.mark.parametrize("player", WATCHED)
async def test_a_real_players_states_are_those_of_somebody_who_pauses_and_seeks(evening: Evening, player: str) -> None:
    states = iter(each["sta"] for each in said(await evening.shown(player, "timeline"), "ps"))
    assert [state for state in WATCHED[player] if state in states] == WATCHED[player]


@pytest.mark.parametrize("player", PLAYERS)
async def test_nothing_of_what_a_real_player_sent_is_missing(evening: Evening, player: str) -> None:
    [gaps] = await evening.shown(player, "cmcd-gaps")
    assert (gaps["missing_count"], gaps["missing"], gaps["restarts"]) == (0, [], 0)
    assert gaps["records"] == len(evening.told[player]["statuses"])


async def test_what_real_players_get_wrong_is_counted_by_player(evening: Evening) -> None:
    assert {(player, "trailing_line_feed") for player in PLAYERS} <= evening.deviations
