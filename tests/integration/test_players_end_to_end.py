"""The model of players on real servers: over HTTP, Kafka and a projection that is killed, the rows hold the truth."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from events.topics import PLAYBACK
from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.ids import new_id
from infra.postgres import Pool
from infra.settings import Settings
from projections.playback.playback_sessions import PlaybackSessions
from tests.integration.households import House, running_house
from tests.integration.projection_workers import Worker, eventually
from tests.integration.rates import unlimited
from tests.integration.showing import shown
from tests.players.comparing import different
from tests.players.dice import clocks, throw
from tests.players.evening import TITLES, Evening
from tests.players.network import Parcel
from tests.players.oracle import is_whole
from tests.players.player import Sitting
from tests.players.server import EVERYTHING, Heard, Server

pytestmark = pytest.mark.integration

STEPS = 1_200


@dataclass(frozen=True)
class Happened:
    """What reached the server at a moment of true time: a start, a report, or an end from outside."""

    sitting: Sitting
    now_ms: int
    from_ms: int = 0
    parcel: Parcel | None = None
    how: str | None = None
    event: bytes = b""


class Journal(Server):
    """The server in this process, which notes what reaches it."""

    def __init__(self) -> None:
        super().__init__(PlaybackSessions())
        self.happened: list[Happened] = []

    def start(self, sitting: Sitting, from_ms: int) -> None:
        super().start(sitting, from_ms)
        self.happened.append(Happened(sitting, sitting.screen.now_ms, from_ms=from_ms))

    def arrive(self, parcel: Parcel, now_ms: int) -> set[int]:
        self.happened.append(Happened(parcel.sitting, now_ms, parcel=parcel))
        return super().arrive(parcel, now_ms)

    def close(self, sitting: Sitting, how: str, now_ms: int) -> None:
        super().close(sitting, how, now_ms)
        self.happened.append(Happened(sitting, now_ms, how=how, event=self.log[-1]))


class Doors:
    """The commands API, whose clock is the world's. `answers`: how often it answered what to an event, or to a report
    of a session that was ended."""

    def __init__(self, house: House) -> None:
        self.answers: Counter[str] = Counter()
        self._house = house
        self._tokens: dict[str, str] = {}

    async def let_in(self, what: Happened) -> None:
        """Have it happen again, over HTTP."""
        state, at = self._house.app.state, what.sitting.when(what.now_ms)
        state.resources = replace(state.resources, clock=lambda: at)
        if what.parcel is not None:
            await self._report(what.sitting, what.parcel)
        elif what.how == "terminated":
            reply = await self._post(f"/{what.sitting.session.session_id}/terminate", self._viewer(what.sitting), {})
            assert reply.status_code == 204, reply.text
        elif what.how == "expired":  # as the reaper does, which would wait for ten minutes
            await state.resources.publisher.publish(PLAYBACK.name, what.sitting.session.profile_id, [what.event])
        else:
            await self._start(what.sitting, what.from_ms)

    async def _start(self, sitting: Sitting, from_ms: int) -> None:
        session = sitting.session
        body = {
            "session_id": session.session_id,
            "title_id": session.title.title_id,
            "device": {"device_id": session.device.device_id, "type": session.device.type},
            "start_position_ms": from_ms,
        }
        reply = await self._post("", self._viewer(sitting), body)
        assert reply.status_code == 201, reply.text
        self._tokens[session.session_id] = reply.json()["playback_token"]

    async def _report(self, sitting: Sitting, parcel: Parcel) -> None:
        session_id = sitting.session.session_id
        reply = await self._post(f"/{session_id}/events", self._tokens[session_id], parcel.body)
        assert reply.status_code in (200, 410), reply.text
        results = reply.json()["results"] if reply.content else []
        self.answers.update(result["status"] for result in results)
        self.answers["ended"] += reply.status_code == 410

    def _viewer(self, sitting: Sitting) -> str:
        session = sitting.session
        viewer = Principal(subject="viewer", account_id=session.account_id, profile_id=session.profile_id)
        token: str = self._house.app.state.tokens.mint_access(viewer)
        return token

    async def _post(self, path: str, token: str, body: dict[str, Any] | bytes) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return await self._house.client.post(f"/v1/playback/sessions{path}", content=content, headers=headers)


@pytest.fixture
async def doors(live: Settings) -> AsyncIterator[Doors]:
    async with running_house(unlimited(live), lease_s=600) as house:
        yield Doors(house)


async def on_show(postgres: Pool) -> None:
    """The evening's titles, as the catalog's projection writes them."""
    for title in TITLES:
        await postgres.execute(
            """insert into catalog_titles (title_id, kind, name, synopsis, duration_ms, availability, seasons,
                   published_at)
               values ($1, 'movie', $2, '', $3, '[]', '[]', now()) on conflict do nothing""",
            title.title_id,
            title.name,
            title.duration_ms,
        )
    await shown(postgres, *(title.title_id for title in TITLES))


async def wrong(postgres: Pool, heard: dict[str, Heard]) -> list[str]:
    """What the rows say otherwise than the oracle."""
    sql = "select * from playback_sessions where session_id = any($1::text[])"
    rows = {row["session_id"]: row for row in await postgres.fetch(sql, list(heard))}
    missing = [f"{session_id}: no row" for session_id in heard.keys() - rows.keys()]
    found = {session_id: SimpleNamespace(**row) for session_id, row in rows.items()}
    for row in found.values():
        row.watched = json.loads(row.watched)
    return missing + [each for session_id, row in found.items() for each in different(row, heard[session_id])]


async def agrees(postgres: Pool, heard: dict[str, Heard]) -> bool:
    """Whether the rows are as the oracle says."""
    return not await wrong(postgres, heard)


async def has_rows(postgres: Pool, heard: dict[str, Heard]) -> bool:
    """Whether the projection came to some of the sessions."""
    sql = "select count(*) from playback_sessions where session_id = any($1::text[])"
    return int(await postgres.fetchval(sql, list(heard))) > 0


async def test_the_rows_hold_the_truth_over_http_and_kafka_with_the_projection_killed(
    live: Settings, postgres: Pool, doors: Doors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice, journal = Random(3), Journal()
    evening = Evening(clocks(dice), journal, name=new_id(), began=utc_now())
    for _ in range(STEPS):
        throw(evening, dice)
    evening.deliver_all()
    heard = journal.heard
    assert len(heard) >= 20
    assert sum(what.parcel is not None for what in journal.happened) >= 300
    assert any(not is_whole(each) for each in heard.values())

    await on_show(postgres)
    monkeypatch.setenv("PLAYHEAD_REORDER_WINDOW_EVENTS", str(EVERYTHING))
    workers = [Worker("postgres", live, tmp_path)]
    try:
        for number, what in enumerate(journal.happened):
            await doors.let_in(what)
            if number == len(journal.happened) // 2:
                await eventually(partial(has_rows, postgres, heard))
                workers[0].kill()
                assert await wrong(postgres, heard) != []
            if number == len(journal.happened) * 2 // 3:
                workers.append(Worker("postgres", live, tmp_path))

        with suppress(TimeoutError):
            await eventually(partial(agrees, postgres, heard))
        assert await wrong(postgres, heard) == []
    finally:
        for worker in workers:
            worker.close()
    assert set(doors.answers) == {"ok", "duplicate", "ended"}
