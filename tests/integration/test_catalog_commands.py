"""The catalog's commands over HTTP and the real log: the life of a title, the order of a series, and next titles."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from commands.app import create_app
from commands.catalog.scheduler import Due, Schedule, Scheduler
from commands.handling import Handling
from commands.playback.admission.facts import Facts, facts_of
from events.registry import REGISTRY
from events.types import AccountId, SeriesId, TitleId
from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.clock import utc_now
from infra.event_log import EventLog
from infra.postgres import Pool
from infra.settings import Settings

pytestmark = pytest.mark.integration

KOREA = [{"territories": ["KR"], "starts_at": "2026-01-01T00:00:00+09:00"}]
KR_12 = [{"system": "KR", "value": "12", "minimum_age": 12}]
FILM = {
    "kind": "movie",
    "texts": {"en": {"name": "Sintel"}, "ko": {"name": "신텔"}},
    "maturity": KR_12,
    "duration_ms": 888_000,
    "availability": KOREA,
}
SERIES = {"kind": "series", "texts": {"en": {"name": "Harbour"}}, "maturity": KR_12}


@dataclass
class Editor:
    """An editor at work: every POST has a key of its own."""

    client: httpx.AsyncClient
    authorization: str

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        keyed = {"Authorization": self.authorization, "Idempotency-Key": str(uuid4()), **headers}
        return await self.client.request(method, f"/v1/catalog{path}", json=body, headers=keyed)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return await self.send("POST", path, body, **headers)

    async def draft(self, body: dict[str, Any], **changes: Any) -> str:
        reply = (await self.post("/titles", {**body, **changes})).raise_for_status()
        title_id: str = reply.json()["id"]
        assert reply.headers["location"].endswith(f"/{title_id}")
        return title_id

    async def published(self, body: dict[str, Any], **changes: Any) -> str:
        title_id = await self.draft(body, **changes)
        (await self.post(f"/titles/{title_id}/publish")).raise_for_status()
        return title_id


@pytest.fixture(scope="module")
async def app(live: Settings) -> AsyncIterator[Any]:
    opened = create_app(live)
    async with opened.router.lifespan_context(opened):
        yield opened


@pytest.fixture
async def editor(app: Any, live: Settings) -> AsyncIterator[Editor]:
    token = Tokens(live).mint_access(Principal(subject="editor-1", roles=("editor",)))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://commands") as client:
        yield Editor(client, f"Bearer {token}")


async def recorded(postgres: Pool, title_id: str) -> list[Any]:
    """The events of a title's stream."""
    stream = f"catalog.title-{title_id}"
    bodies = await postgres.fetch("select body from event_log where stream_id = $1 order by version", stream)
    return [REGISTRY.decode(row["body"]).data for row in bodies]


def problem(reply: httpx.Response) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/problem+json"
    return reply.status_code, reply.json()["type"].rpartition("/")[2]


def ending(reply: httpx.Response) -> Any:
    return reply.json()["events"] if reply.is_success else problem(reply)


async def test_a_title_lives_from_draft_to_withdrawal_and_comes_back(editor: Editor, postgres: Pool) -> None:
    title_id = await editor.draft(FILM)
    path = f"/titles/{title_id}"
    at = (utc_now() + timedelta(days=1)).isoformat()
    endings = [
        ending(await editor.send("PATCH", path, {"genres": ["fantasy"]})),
        ending(await editor.post(f"{path}/withdraw", {"reason": "Too early."})),
        ending(await editor.post(f"{path}/schedule", {"publish_at": at})),
        ending(await editor.post(f"{path}/discard")),
        ending(await editor.post(f"{path}/unschedule")),
        ending(await editor.post(f"{path}/publish")),
        ending(await editor.post(f"{path}/publish")),
        ending(await editor.send("PATCH", path, {"genres": ["fantasy"], "release_year": 2010})),
        ending(await editor.post(f"{path}/withdraw", {"reason": "The licence ended."})),
        ending(await editor.post(f"{path}/publish")),
    ]
    assert endings == [
        ["TitleRevised"],
        (409, "title-not-published"),
        ["TitleScheduled"],
        (409, "title-scheduled"),
        ["TitleUnscheduled"],
        ["TitlePublished"],
        [],
        ["TitleRevised"],
        ["TitleWithdrawn"],
        ["TitlePublished"],
    ]
    *_, revised, _, published = await recorded(postgres, title_id)
    assert (revised.changed, revised.revision) == (("release_year",), 3)
    assert (published.details.genres, published.details.texts[1].name) == (("fantasy",), "신텔")


async def test_commands_that_must_not_come_twice_need_a_key(editor: Editor) -> None:
    headers = {"Authorization": editor.authorization}
    reply = await editor.client.post("/v1/catalog/titles", json=FILM, headers=headers)
    assert problem(reply) == (400, "idempotency-key-missing")


async def test_the_same_command_again_is_answered_as_before(editor: Editor, postgres: Pool) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    first, again = [await editor.post("/titles", FILM, **key) for _ in range(2)]
    assert (first.json(), first.headers["etag"]) == (again.json(), again.headers["etag"])
    assert len(await recorded(postgres, first.json()["id"])) == 1


async def test_a_stale_editor_is_told(editor: Editor) -> None:
    title_id = await editor.draft(FILM)
    revise = {"genres": ["drama"]}
    assert ending(await editor.send("PATCH", f"/titles/{title_id}", revise, **{"If-Match": '"1"'})) == ["TitleRevised"]
    for method, path in (("PATCH", f"/titles/{title_id}"), ("POST", f"/titles/{title_id}/withdraw")):
        body = {"reason": "x"} if path.endswith("withdraw") else revise
        assert problem(await editor.send(method, path, body, **{"If-Match": '"1"'})) == (412, "version-conflict")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"availability": KOREA + KOREA}, (422, "windows-overlap")),
        ({"availability": [{"territories": ["UK"]}]}, (422, "territory-unknown")),
        ({"maturity": [{"system": "KR", "value": "18", "minimum_age": 18}]}, (422, "maturity-invalid")),
        ({"kind": "live_channel"}, (422, "duration-not-allowed")),
        ({"kind": "episode"}, (422, "episode-number-missing")),
        ({"default_locale": "ja"}, (422, "texts-invalid")),
        ({"default_locale": "Japanese"}, (422, "invalid-request")),
        ({"markers": {"credits_start_ms": 900_000}}, (422, "credits-outside-title")),
        ({"markers": {"intro": {"start_ms": 5, "end_ms": 5}}}, (422, "marker-outside-title")),
        ({"next_title_id": "nowhere"}, (409, "next-title-unknown")),
        ({"kind": "movie", "series_id": "x", "season_number": 1, "episode_number": 1}, (422, "episode-number-missing")),
    ],
)
async def test_what_does_not_hold_is_refused_by_name(
    editor: Editor, changes: dict[str, Any], refusal: tuple[int, str]
) -> None:
    assert problem(await editor.post("/titles", {**FILM, **changes})) == refusal


@pytest.mark.parametrize("kind", ["short", "live_channel", "fast_channel"])
async def test_every_kind_is_published(editor: Editor, kind: str) -> None:
    endless = {"duration_ms": None} if kind != "short" else {}
    title_id = await editor.published(FILM, kind=kind, **endless)
    season = await editor.post(f"/series/{title_id}/seasons", {"season_number": 1, "name": "One"})
    assert problem(season) == (409, "not-a-series")


async def test_an_episode_in_a_movie_is_refused(editor: Editor) -> None:
    film = await editor.published(FILM)
    place = {"series_id": film, "season_number": 1, "episode_number": 1}
    assert problem(await editor.post("/titles", {**FILM, "kind": "episode", **place})) == (409, "not-a-series")


async def test_a_series_is_built_reordered_and_withdrawn_with_its_episodes(editor: Editor, postgres: Pool) -> None:
    series = await editor.published(SERIES)
    path = f"/series/{series}"
    for number in (1, 2):
        (await editor.post(f"{path}/seasons", {"season_number": number, "name": str(number)})).raise_for_status()
    episodes = []
    for number in (1, 2, 3):
        place = {"series_id": series, "season_number": 1, "episode_number": number}
        episodes.append(await editor.draft(FILM, kind="episode", **place))
        (await editor.post(f"{path}/episodes/{episodes[-1]}/publish")).raise_for_status()
    order = {"title_ids": [episodes[2], episodes[0], episodes[1]]}
    assert ending(await editor.post(f"{path}/seasons/1/episodes/order", order)) == ["EpisodeMoved"] * 3
    assert problem(await editor.post(f"{path}/seasons/order", {"season_numbers": [2]})) == (409, "order-incomplete")
    swapped = ending(await editor.post(f"{path}/seasons/order", {"season_numbers": [2, 1]}))
    assert swapped == ["SeasonsReordered", *["EpisodeMoved"] * 3]
    assert ending(await editor.send("PATCH", f"{path}/seasons/2", {"name": "The Tide"})) == ["SeasonRevised"]
    assert problem(await editor.send("DELETE", f"{path}/seasons/2")) == (409, "season-has-episodes")
    assert ending(await editor.send("DELETE", f"{path}/seasons/1")) == ["SeasonRemoved"]
    moved = {"season_number": 2, "episode_number": 9}
    assert ending(await editor.post(f"{path}/episodes/{episodes[0]}/move", moved)) == ["EpisodeMoved"]
    gone = ending(await editor.post(f"/titles/{series}/withdraw", {"reason": "The licence ended."}))
    assert gone == ["TitleWithdrawn"] * 4
    assert problem(await editor.post(f"{path}/episodes/{episodes[0]}/publish")) == (409, "series-not-published")
    assert ending(await editor.post(f"/titles/{series}/publish")) == ["TitlePublished"] * 4
    back = (await recorded(postgres, series))[-4:]
    assert [event.place and event.place.episode_number for event in back] == [None, 1, 3, 9]
    assert [season.name for season in back[0].seasons] == ["The Tide"]


# Next titles


async def test_a_trilogy_follows_and_a_cycle_is_refused_wherever_it_closes(editor: Editor, postgres: Pool) -> None:
    third = await editor.published(FILM)
    second = await editor.published(FILM, next_title_id=third)
    first = await editor.published(FILM, next_title_id=second)
    refused = await editor.send("PATCH", f"/titles/{third}", {"next_title_id": first})
    assert problem(refused) == (409, "next-title-cycle")
    assert refused.json()["cycle"] == [third, first, second, third]
    assert (await recorded(postgres, third))[-1].details.next_title_id is None
    assert ending(await editor.send("PATCH", f"/titles/{first}", {"next_title_id": None})) == ["TitleRevised"]
    assert ending(await editor.send("PATCH", f"/titles/{third}", {"next_title_id": first})) == ["TitleRevised"]
    channel = await editor.published(FILM, kind="fast_channel", duration_ms=None)
    refused = await editor.send("PATCH", f"/titles/{first}", {"next_title_id": channel})
    assert problem(refused) == (422, "next-title-not-allowed")


async def test_of_links_that_close_a_cycle_at_the_same_time_one_is_refused(editor: Editor) -> None:
    for _ in range(5):
        titles = [await editor.draft(FILM) for _ in range(3)]
        pairs = zip(titles, [*titles[1:], titles[0]], strict=True)
        replies = await asyncio.gather(
            *(editor.send("PATCH", f"/titles/{one}", {"next_title_id": after}) for one, after in pairs)
        )
        assert sorted(reply.status_code for reply in replies) == [200, 200, 409]


async def test_a_player_is_told_what_follows(postgres: Pool) -> None:
    rows = [
        # title_id, kind, series_id, season_number, episode_number, next_title_id, status
        ("one", "movie", None, None, None, "two", "published"),
        ("two", "movie", None, None, None, "tales", "published"),
        ("tales", "series", None, None, None, "gone", "published"),
        ("tales-0", "episode", "tales", 0, 1, None, "published"),
        ("tales-1", "episode", "tales", 1, 1, None, "published"),
        ("tales-2", "episode", "tales", 1, 2, None, "withdrawn"),
        ("tales-3", "episode", "tales", 1, 3, None, "published"),
        ("gone", "movie", None, None, None, None, "withdrawn"),
    ]
    run = uuid4().hex[:8]
    named = [
        tuple(f"{run}-{cell}" if at in (0, 2, 5) and cell else cell for at, cell in enumerate(row)) for row in rows
    ]
    await postgres.executemany(
        """insert into catalog_titles (title_id, kind, series_id, season_number, episode_number, next_title_id, status,
               name, synopsis, duration_ms, availability, seasons, published_at)
           values ($1, $2, $3, $4, $5, $6, $7, 'A title', '', 888000, '[]', '[]', now())""",
        named,
    )

    async def following(title_id: str) -> str | None:
        found = await facts_of(
            postgres, TitleId(f"{run}-{title_id}"), territory=None, now=utc_now(), account_id=AccountId("nobody")
        )
        assert isinstance(found, Facts)
        return found.title.next_title_id

    assert await following("one") == f"{run}-two"
    assert await following("two") == f"{run}-tales-1"
    assert await following("tales-1") == f"{run}-tales-3"
    assert await following("tales-3") is None
    await postgres.execute("update catalog_titles set status = 'published' where title_id = $1", f"{run}-gone")
    assert await following("tales-3") == f"{run}-gone"


# The scheduler


@dataclass
class Listed:
    """Due titles as a view that is a moment old may list them."""

    titles: list[Due]

    async def due(self, now: datetime, *, after: Due | None, limit: int) -> list[Due]:
        return [] if after else [title for title in self.titles if title.publish_at <= now]


def scheduler(postgres: Pool, live: Settings, titles: Any, now: datetime) -> Scheduler:
    return Scheduler(Handling(EventLog(postgres, live), lambda: now), titles, lambda: now)


async def test_scheduled_titles_are_published_once_however_often_and_late(
    editor: Editor, postgres: Pool, live: Settings
) -> None:
    at = utc_now() + timedelta(hours=1)
    series = await editor.draft(SERIES)
    (await editor.post(f"/series/{series}/seasons", {"season_number": 1, "name": "One"})).raise_for_status()
    place = {"series_id": series, "season_number": 1, "episode_number": 1}
    episode = await editor.draft(FILM, kind="episode", **place)
    body = {"publish_at": at.isoformat()}
    (await editor.post(f"/titles/{series}/schedule", body)).raise_for_status()
    (await editor.post(f"/series/{series}/episodes/{episode}/schedule", body)).raise_for_status()
    listed = [Due(at, TitleId(series), None), Due(at, TitleId(episode), SeriesId(series))]
    early = scheduler(postgres, live, Listed([Due(at - timedelta(hours=2), TitleId(series), None)]), utc_now())
    assert await early.run_once() == 0
    late = [scheduler(postgres, live, Listed(listed), at + timedelta(days=3)) for _ in range(4)]
    assert sum(await asyncio.gather(*(one.run_once() for one in late))) == 2
    assert await late[0].run_once() == 0
    names = [type(event).__name__ for event in await recorded(postgres, series)]
    assert names.count("TitlePublished") == 2


async def test_an_episode_that_is_due_waits_for_its_series(editor: Editor, postgres: Pool, live: Settings) -> None:
    at = utc_now() + timedelta(hours=1)
    series = await editor.draft(SERIES)
    (await editor.post(f"/series/{series}/seasons", {"season_number": 1, "name": "One"})).raise_for_status()
    place = {"series_id": series, "season_number": 1, "episode_number": 1}
    episode = await editor.draft(FILM, kind="episode", **place)
    path = f"/series/{series}/episodes/{episode}/schedule"
    (await editor.post(path, {"publish_at": at.isoformat()})).raise_for_status()
    due = scheduler(postgres, live, Listed([Due(at, TitleId(episode), SeriesId(series))]), at)
    assert await due.run_once() == 0
    (await editor.post(f"/titles/{series}/publish")).raise_for_status()
    assert await due.run_once() == 1


async def test_the_schedule_lists_what_is_due_in_order_and_in_pages(postgres: Pool, live: Settings) -> None:
    at = datetime(2020, 1, 1, tzinfo=utc_now().tzinfo)
    rows = [("due-e", "due-s", at), ("due-s", None, at), ("due-a", None, at + timedelta(days=1))]
    await postgres.execute("delete from catalog_schedule where starts_with(title_id, 'due-')")
    await postgres.executemany("insert into catalog_schedule values ($1, $2, $3)", rows)
    try:
        schedule, after, listed = Schedule(postgres), None, []
        while page := await schedule.due(at + timedelta(days=1), after=after, limit=1):
            after = page[-1]
            listed.append(after.title_id)
        assert listed == ["due-s", "due-e", "due-a"]
        assert await schedule.due(at - timedelta(days=1), after=None, limit=10) == []
    finally:
        await postgres.execute("delete from catalog_schedule where starts_with(title_id, 'due-')")
