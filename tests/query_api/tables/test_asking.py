"""What a table answers: its formats, its fields, and all of its pages in one reply."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, Response
from pydantic import BaseModel
from starlette.types import Message, Receive

from infra.http import problems
from infra.settings import Settings
from query_api.dependencies import AskedPage
from query_api.stores import StoreUnavailable
from query_api.tables import formats
from query_api.tables.asking import Asked, AskedPages, asked, asked_pages
from query_api.tables.table import Projected, Table
from tests.serving import serving


class Name(BaseModel):
    first: str
    last: str | None


class Numbered(BaseModel):
    number: int
    name: Name


class Numbers(BaseModel):
    items: list[Numbered]
    next_cursor: str | None = None
    said: str = "of all"


TABLE = Table(Numbered, name="numbers")
EXAMPLE = {"items": [{"number": 1, "name": {"first": "one", "last": None}}], "next_cursor": None}
MOST_ROWS = 25


class Served:
    """An app with `count` rows in pages, which notes what was read, and fails after `lasts` pages."""

    def __init__(self, state_dir: Path, *, count: int, lasts: int = 1_000) -> None:
        self.pages: list[AskedPage] = []
        self.count = count
        self.lasts = lasts
        self.app = FastAPI()
        self.app.state.settings = Settings(
            state_dir=state_dir, export_page_rows=4, export_max_rows=MOST_ROWS, page_default_rows=5, page_max_rows=10
        )
        self.app.get("/paged", response_model=Numbers | Projected, responses=TABLE.replies(EXAMPLE))(self.paged)
        self.app.get("/whole", response_model=Numbers | Projected, responses=TABLE.replies(EXAMPLE))(self.whole)
        problems.install(self.app, formats.PROBLEMS)

    async def paged(self, shown: Annotated[AskedPages, Depends(asked_pages(TABLE))]) -> Response:
        return await shown.read(self.read, {"Vary": "Accept-Language"})

    async def whole(self, shown: Annotated[Asked, Depends(asked(TABLE))]) -> Response:
        return shown.reply(numbers(range(self.count), None))

    async def read(self, page: AskedPage) -> Numbers:
        if len(self.pages) == self.lasts:
            raise StoreUnavailable("Postgres does not answer", members={"store": "postgres"})
        self.pages.append(page)
        begin = int(page.cursor or 0)
        end = min(begin + page.limit, self.count)
        return numbers(range(begin, end), str(end) if end < self.count else None)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://tables") as client:
            return await client.get(path, headers=headers)

    async def call(self, path: str, receive: Receive, sent: list[Message]) -> None:
        """As a server calls it, whatever becomes of the client; sending takes a while."""
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": query.encode(),
            "headers": [],
            "asgi": {"spec_version": "2.3"},
        }

        async def send(message: Message) -> None:
            sent.append(message)
            await asyncio.sleep(0)

        await self.app(scope, receive, send)


def numbers(which: range, cursor: str | None) -> Numbers:
    items = [Numbered(number=each, name=Name(first=str(each), last=None)) for each in which]
    return Numbers(items=items, next_cursor=cursor)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Served]:
    return lambda **told: Served(tmp_path, **told)


async def staying() -> Message:
    """A client that waits for all."""
    await asyncio.Event().wait()
    raise AssertionError


def numbers_in(text: str) -> list[int]:
    return [json.loads(line)["number"] for line in text.splitlines()]


async def test_json_is_a_page_with_its_cursor(make: Callable[..., Served]) -> None:
    served = make(count=7)
    reply = await served.get("/paged")
    assert [each["number"] for each in reply.json()["items"]] == [0, 1, 2, 3, 4]
    assert (reply.json()["next_cursor"], reply.json()["said"]) == ("5", "of all")
    assert reply.headers["vary"] == "Accept-Language, Accept"


@pytest.mark.parametrize("path", ["/paged", "/whole"])
@pytest.mark.parametrize(
    ("query", "accept", "media_type"),
    [
        ("", "text/csv", "text/csv; header=present; charset=utf-8"),
        ("?format=csv", "application/json", "text/csv; header=present; charset=utf-8"),
        ("?format=csv", "image/png", "text/csv; header=present; charset=utf-8"),
        ("?format=jsonl", "*/*", "application/x-ndjson"),
        ("?format=json", "text/csv", "application/json"),
    ],
)
async def test_format_comes_before_accept(
    make: Callable[..., Served], path: str, query: str, accept: str, media_type: str
) -> None:
    reply = await make(count=2).get(path + query, accept=accept)
    assert (reply.status_code, reply.headers["content-type"]) == (200, media_type)


@pytest.mark.parametrize("path", ["/paged", "/whole"])
async def test_what_nobody_can_take_is_not_served(make: Callable[..., Served], path: str) -> None:
    served = make(count=2)
    reply = await served.get(path, accept="image/png")
    assert (reply.status_code, reply.json()["type"].rpartition("/")[2]) == (406, "not-acceptable")
    assert served.pages == []


async def test_the_formats_hold_the_same_rows_and_fields(make: Callable[..., Served]) -> None:
    served = make(count=3)
    json_reply, lines, csv_reply = [await served.get(f"/whole?format={each}") for each in ("json", "jsonl", "csv")]
    assert [json.loads(line) for line in lines.text.splitlines()] == json_reply.json()["items"]
    assert csv_reply.text == "number,name.first,name.last\r\n0,0,\r\n1,1,\r\n2,2,\r\n"
    assert csv_reply.headers["content-disposition"] == 'attachment; filename="numbers.csv"'


@pytest.mark.parametrize("fields", ["name.first,number", "name.first&fields=number", "number,name.first,number"])
async def test_only_the_fields_that_are_asked_for_are_shown(make: Callable[..., Served], fields: str) -> None:
    served = make(count=1)
    body = (await served.get(f"/paged?fields={fields}")).json()
    assert body["items"] == [{"number": 0, "name": {"first": "0"}}]
    assert body["said"] == "of all"
    assert json.loads((await served.get(f"/paged?format=jsonl&fields={fields}")).text) == body["items"][0]
    header = (await served.get(f"/paged?format=csv&fields={fields}")).text.splitlines()[0]
    assert set(header.split(",")) == {"number", "name.first"}


@pytest.mark.parametrize("fields", ["nmae", "name.middle", "number,", "", "name.first.x", "Number"])
async def test_an_unknown_field_is_refused_with_what_there_is(make: Callable[..., Served], fields: str) -> None:
    reply = await make(count=1).get(f"/paged?fields={fields}")
    assert reply.status_code == 422
    [error] = reply.json()["errors"]
    assert error["pointer"].startswith("/query/fields/")
    assert error["reason"] == "Input should be one of number, name, name.first, name.last"


async def test_an_unknown_format_is_refused(make: Callable[..., Served]) -> None:
    reply = await make(count=1).get("/paged?format=xml")
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, "/query/format")


async def test_a_cursor_is_good_for_every_format_and_any_fields(make: Callable[..., Served]) -> None:
    served = make(count=9)
    cursor = (await served.get("/paged?limit=3")).json()["next_cursor"]
    assert numbers_in((await served.get(f"/paged?format=jsonl&fields=number&cursor={cursor}")).text) == [*range(3, 9)]


async def test_lines_with_a_limit_are_a_page_and_a_link_to_the_next(make: Callable[..., Served]) -> None:
    served = make(count=7)
    reply = await served.get("/paged?format=jsonl&limit=4")
    assert numbers_in(reply.text) == [0, 1, 2, 3]
    assert reply.headers["link"] == '<?format=jsonl&limit=4&cursor=4>; rel="next"'
    rest = await served.get("/paged" + reply.headers["link"].partition(">")[0][1:])
    assert numbers_in(rest.text) == [4, 5, 6] and "link" not in rest.headers


@pytest.mark.parametrize("count", [0, 3, 4, 5, 24, MOST_ROWS])
async def test_lines_without_a_limit_are_all_rows_read_in_pages(make: Callable[..., Served], count: int) -> None:
    served = make(count=count)
    assert numbers_in((await served.get("/paged?format=jsonl")).text) == [*range(count)]
    assert max(page.limit for page in served.pages) == 4
    assert len(served.pages) == max(-(-count // 4), 1)


async def test_more_rows_than_are_sent_at_once_are_cut_and_can_be_gone_on_with(make: Callable[..., Served]) -> None:
    served = make(count=30)
    *lines, last = (await served.get("/paged?format=jsonl")).text.splitlines()
    problem = json.loads(last)["problem"]
    assert numbers_in("\n".join(lines)) == [*range(MOST_ROWS)]
    assert problem["type"].endswith("/export-cut")
    rest = await served.get(f"/paged?format=jsonl&cursor={problem['next_cursor']}")
    assert numbers_in(rest.text) == [*range(MOST_ROWS, 30)]


async def test_a_cut_csv_says_so_in_its_last_line(make: Callable[..., Served]) -> None:
    text = (await make(count=30).get("/paged?format=csv")).text
    assert text.splitlines()[-1].startswith(f'"# export-cut: only {MOST_ROWS} rows') and "cursor=25" in text


async def test_a_store_that_fails_at_once_is_a_refusal(make: Callable[..., Served]) -> None:
    with pytest.raises(StoreUnavailable):
        await make(count=30, lasts=0).get("/paged?format=csv")


async def test_a_store_that_fails_later_leaves_the_reply_unfinished_with_the_reason(
    make: Callable[..., Served],
) -> None:
    sent: list[Message] = []
    await make(count=30, lasts=2).call("/paged?format=jsonl", staying, sent)
    start, *bodies = sent
    *lines, last = b"".join(each["body"] for each in bodies).decode().splitlines()
    assert start["status"] == 200 and numbers_in("\n".join(lines)) == [*range(8)]
    assert json.loads(last)["problem"]["store"] == "postgres"
    assert all(each["more_body"] for each in bodies)


async def test_a_client_that_goes_away_ends_the_reading(make: Callable[..., Served]) -> None:
    served = make(count=MOST_ROWS)
    sent: list[Message] = []

    async def gone_after_two_pieces() -> Message:
        while len(sent) < 3:
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    await served.call("/paged?format=jsonl", gone_after_two_pieces, sent)
    assert len(served.pages) < MOST_ROWS // 4
    assert all(each["more_body"] for each in sent[1:])


async def test_over_a_connection_what_is_unfinished_is_seen_to_be(make: Callable[..., Served]) -> None:
    served = make(count=30, lasts=2)
    async with serving(served.app, lifespan="off") as url, httpx.AsyncClient(base_url=url) as client:
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            await client.get("/paged?format=jsonl")


async def test_over_a_connection_that_is_closed_no_more_pages_are_read(make: Callable[..., Served]) -> None:
    served = make(count=100_000_000, lasts=1_000_000)
    served.app.state.settings = served.app.state.settings.model_copy(update={"export_max_rows": 100_000_000})
    async with (
        serving(served.app, lifespan="off") as url,
        httpx.AsyncClient(base_url=url) as client,
        client.stream("GET", "/paged?format=jsonl") as reply,
    ):
        assert await anext(reply.aiter_raw())
    assert len(served.pages) < served.lasts  # the server waits for what it sends still when it ends


def test_the_example_is_shown_in_every_format() -> None:
    content = TABLE.replies(EXAMPLE)[200]["content"]
    assert content["application/json"]["example"] == EXAMPLE
    assert content["text/csv"]["example"] == "number,name.first,name.last\r\n1,one,\r\n"
    assert json.loads(content["application/x-ndjson"]["example"]) == {
        "number": 1,
        "name": {"first": "one", "last": None},
    }
