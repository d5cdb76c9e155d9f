"""Dead letters from a fold that failed to a view that has the record: what operators command, what is recorded, and
what projections make of it, with every process at work.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

import commands.app
from events import playback as p
from events.envelope import encode
from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.ids import new_id
from infra.postgres import Pool
from infra.redis import connect
from infra.settings import Settings
from tests.builders import movie_published, reported, session
from tests.integration.projection_workers import PlayheadProcess, Worker, eventually
from tests.integration.query_api_stores import OPERATOR, QueryApi, running_query_api
from tests.integration.rates import unlimited

pytestmark = pytest.mark.integration


@pytest.fixture
async def operator(live: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(live, OPERATOR) as client:
        yield client


@asynccontextmanager
async def calling(live: Settings, who: Principal) -> AsyncIterator[httpx.AsyncClient]:
    """The commands API, called by somebody."""
    app = commands.app.create_app(unlimited(live))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://commands") as client,
    ):
        client.headers["Authorization"] = f"Bearer {Tokens(live).mint_access(who)}"
        yield client


@pytest.fixture
async def queries(live: Settings) -> AsyncIterator[QueryApi]:
    async with running_query_api(live) as api:
        await api.until_missing()
        yield api


async def set_aside(postgres: Pool, **columns: Any) -> str:
    """A letter of a partition that nobody reads, as its view has it."""
    row: dict[str, Any] = {
        "projection": "redis",
        "topic": "playback.events",
        "partition": 0,
        "offset": int(new_id()[-10:], 16),
        "reason": "fold_failed",
        "detail": "continue_watching: a fault",
        "body": encode(reported(p.Heartbeat, 1)),
        "views": '["continue_watching"]',
        "headers": "[]",
        **columns,
    }
    letter_id = f"{row['projection']}/{row['topic']}/{row['partition']}/{row['offset']}"
    names = ", ".join(f'"{name}"' for name in row)
    places = ", ".join(f"${place}" for place in range(2, len(row) + 2))
    await postgres.execute(
        f"insert into dead_letters (letter_id, recorded_at, {names}) values ($1, now(), {places})",
        letter_id,
        *row.values(),
    )
    return letter_id


async def decisions(postgres: Pool, letter_id: str) -> list[str]:
    rows = await postgres.fetch(
        "select type from event_log where stream_id = $1 order by version", f"operations.dead_letter-{letter_id}"
    )
    return [row["type"].split(".")[1] for row in rows]


def problem(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, str(reply.json()["type"]).rpartition("/")[2]


async def test_a_retry_is_recorded_once_while_it_is_under_way(operator: httpx.AsyncClient, postgres: Pool) -> None:
    letter = await set_aside(postgres)
    replies = [await operator.post(f"/v1/dead-letters/{letter}/retry", json={"reason": "mended"}) for _ in range(2)]
    assert [reply.json()["events"] for reply in replies] == [["DeadLetterRetried"], []]
    assert await decisions(postgres, letter) == ["DeadLetterRetried"]


async def test_what_is_discarded_is_not_tried_again(operator: httpx.AsyncClient, postgres: Pool) -> None:
    letter = await set_aside(postgres)
    assert (await operator.post(f"/v1/dead-letters/{letter}/discard", json={"reason": "a test"})).status_code == 200
    assert problem(await operator.post(f"/v1/dead-letters/{letter}/retry", json={})) == (409, "dead-letter-discarded")
    assert await decisions(postgres, letter) == ["DeadLetterDiscarded"]


async def test_a_letter_that_is_not_there_is_unknown(operator: httpx.AsyncClient, queries: QueryApi) -> None:
    unknown = f"redis/playback.events/0/{new_id()}"
    for command, body in (("retry", {}), ("discard", {"reason": "a test"})):
        reply = await operator.post(f"/v1/dead-letters/{unknown}/{command}", json=body)
        assert problem(reply) == (404, "dead-letter-unknown")
    assert problem(await queries.get(f"/v1/dead-letters/{unknown}", OPERATOR)) == (404, "dead-letter-unknown")


async def test_a_record_whose_stream_went_on_is_tried_again_only_by_force(
    operator: httpx.AsyncClient, postgres: Pool
) -> None:
    body, views = encode(movie_published(new_id())), '["a_view_of_no_release"]'  # as Kafka has no such record
    letter = await set_aside(postgres, topic="catalog.events", projection="postgres", body=body, views=views)
    assert problem(await operator.post(f"/v1/dead-letters/{letter}/retry", json={})) == (409, "dead-letter-late")
    reply = await operator.post(f"/v1/dead-letters/{letter}/retry", json={"force": True})
    assert reply.json()["events"] == ["DeadLetterRetried"]


@pytest.mark.parametrize("columns", [{"projection": "backfill"}, {"body": b"", "body_left": True}])
async def test_what_no_projection_could_be_given_is_not_tried_again(
    operator: httpx.AsyncClient, postgres: Pool, columns: dict[str, Any]
) -> None:
    letter = await set_aside(postgres, **columns)
    reply = await operator.post(f"/v1/dead-letters/{letter}/retry", json={})
    assert problem(reply) == (409, "dead-letter-not-retriable")


async def test_many_are_decided_in_one_request_and_who_is_refused_is_named(
    operator: httpx.AsyncClient, postgres: Pool
) -> None:
    mark = f"reason-{new_id()}"
    good = {await set_aside(postgres, reason=mark) for _ in range(3)}
    huge = await set_aside(postgres, reason=mark, body=b"", body_left=True)
    reply = (await operator.post("/v1/dead-letters/retry", json={"letters": {"reason": mark}})).json()
    assert (set(reply["recorded"]), reply["ignored"]) == (good, 0)
    assert [(each["letter_id"], each["problem"]) for each in reply["refused"]] == [(huge, "dead-letter-not-retriable")]
    body = {"letters": {"reason": mark, "limit": 2}, "reason": "a test"}
    assert len((await operator.post("/v1/dead-letters/discard", json=body)).json()["recorded"]) == 2


async def test_a_letter_is_shown_with_its_whole_body_and_headers(queries: QueryApi, postgres: Pool) -> None:
    headers = msgspec.json.encode((("content-type", b"text/plain"),)).decode()
    letter = await set_aside(postgres, body=b"x" * 2_000, headers=headers)
    shown = (await queries.get(f"/v1/dead-letters/{letter}", OPERATOR)).json()
    assert (shown["letter_id"], shown["body"], shown["status"]) == (letter, "x" * 2_000, "open")
    assert shown["headers"] == [{"name": "content-type", "value": "text/plain"}]


@pytest.fixture
def processes(live: Settings, tmp_path: Path) -> Iterator[dict[str, PlayheadProcess]]:
    started = {
        "relay": PlayheadProcess(("relay",), live, tmp_path),
        "postgres": Worker("postgres", live, tmp_path),
        "redis": Worker("redis", live, tmp_path),
    }
    yield started
    for process in started.values():
        process.close()


async def test_from_the_command_to_the_view_and_back_to_the_letter(
    live: Settings,
    processes: dict[str, PlayheadProcess],
    operator: httpx.AsyncClient,
    queries: QueryApi,
    postgres: Pool,
) -> None:
    for process in processes.values():
        await eventually(process.is_ready)
    own = new_id()
    event = reported(p.Heartbeat, 5, of=session(own, profile_id=own), position_ms=1_000_000)
    place = await set_aside(postgres, body=encode(event))
    processes["redis"].kill()
    reply = await operator.post(f"/v1/dead-letters/{place}/retry", json={"reason": "mended"})
    assert reply.json()["events"] == ["DeadLetterRetried"]
    await eventually(partial(_has_status, queries, place, "retrying"))
    again = Worker("redis", live, live.state_dir)
    try:
        client = connect(live)
        await eventually(partial(_is_there, client, own))
        await client.aclose()
        await eventually(partial(_has_status, queries, place, "applied"))
    finally:
        again.close()
    shown = (await queries.get(f"/v1/dead-letters/{place}", OPERATOR)).json()
    assert (shown["decided_by"], shown["decision_reason"]) == (OPERATOR.subject, "mended")


async def _has_status(queries: QueryApi, letter_id: str, status: str) -> bool:
    reply = await queries.get(f"/v1/dead-letters/{letter_id}", OPERATOR)
    return bool(reply.status_code == 200 and reply.json()["status"] == status)


async def _is_there(client: Any, own: str) -> bool:
    return bool(await client.hvals(f"continue_watching:{{{own}}}"))
