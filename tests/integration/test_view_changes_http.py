"""Versions of views changed by operators over HTTP: asked of the commands API, done by `playhead rebuilds`, shown by
the query API.
"""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

import commands.app
from infra import event_log
from infra.access.tokens import Tokens
from infra.ids import new_id
from infra.postgres import Pool, connect, connect_pool, migrate
from infra.settings import Settings
from infra.view_lag import Ends, behind
from playhead.rebuilds import BEGUN
from playhead.view_requests import open_requests
from projections.app import postgres_views
from projections.versions import registry
from projections.versions.groups import grouped
from tests.integration.projection_workers import PATIENCE_S, PlayheadProcess, Worker, evening, eventually, produce
from tests.integration.query_api_stores import OPERATOR, QueryApi, running_query_api
from tests.integration.rates import unlimited

pytestmark = [pytest.mark.integration, pytest.mark.early]

VIEW = "playback_sessions"
TOPIC = "playback.events"


class Operations:
    """An installation with a database of its own, as its operators see it."""

    def __init__(self, settings: Settings, pool: Pool, commands_api: httpx.AsyncClient, queries: QueryApi) -> None:
        self.settings = settings
        self.pool = pool
        self._commands = commands_api
        self._queries = queries

    async def ask(self, what: str, key: str | None = None, **body: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return await self._commands.post(f"/v1/views/{VIEW}/{what}", json=body, headers=headers)

    async def done(self, what: str, **body: Any) -> dict[str, Any]:
        """Ask, and wait for how it ends."""
        reply = await self.ask(what, **body)
        assert reply.status_code == 202, reply.text
        number = reply.json()["version"]
        await eventually(lambda: self.has_ended(number))
        return await self.request(number)

    async def has_ended(self, number: int) -> bool:
        return (await self.request(number))["status"] in ("completed", "failed")

    async def request(self, number: int) -> dict[str, Any]:
        reply = await self._queries.get(f"/v1/views/{VIEW}/requests/{number}", OPERATOR)
        assert reply.status_code == 200, reply.text
        shown: dict[str, Any] = reply.json()
        return shown

    async def versions(self) -> dict[int, dict[str, Any]]:
        items = (await self._queries.get("/v1/views", OPERATOR)).json()["items"]
        return {each["version"]: each for each in items if each["view"] == VIEW}

    async def states(self) -> dict[int, str]:
        return {number: each["state"] for number, each in (await self.versions()).items()}

    async def is_kept_by(self, keeper: str) -> bool:
        """Whether it keeps the live version."""
        return [each["keeper"] for each in (await self.versions()).values() if each["state"] == "live"] == [keeper]

    async def have_other_folds(self, by: int) -> None:
        """Have the rows of the first version be of another release's folds, or with 0 of this one's."""
        folds = {view: fold + by for view, fold in grouped(postgres_views(self.settings))[VIEW].folds.items()}
        await self.pool.execute(
            "update view_versions set folds = $2 where view = $1 and version = 1", VIEW, json.dumps(folds)
        )

    async def rebuild_shown(self) -> list[dict[str, Any]]:
        projections = (await self._queries.get("/v1/projections", OPERATOR)).json()["items"]
        return [each for one in projections for each in one["rebuilds"] or () if each["view"] == VIEW]

    async def history(self) -> list[str]:
        rows = await self.pool.fetch(
            "select type from event_log where stream_id = $1 order by version", f"operations.view-{VIEW}"
        )
        return [row["type"].split(".")[1].removeprefix("ViewChange") for row in rows]


@pytest.fixture
async def operations(live: Settings) -> AsyncIterator[Operations]:
    name, there = f"changes_{new_id().replace('-', '')}", urlsplit(live.postgres_dsn)
    connection = await connect(live)
    await connection.execute(f"create database {name}")
    told = {"postgres_dsn": urlunsplit(there._replace(path=f"/{name}")), "progress_kept_s": 0.0}
    ours = live.model_copy(update=told)
    await migrate(ours)
    await event_log.create_partitions(ours)
    app = commands.app.create_app(unlimited(ours))
    async with AsyncExitStack() as opened:
        pool = await connect_pool(ours)
        opened.push_async_callback(pool.close)
        await opened.enter_async_context(app.router.lifespan_context(app))
        transport = httpx.ASGITransport(app)
        client = await opened.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://commands"))
        client.headers["Authorization"] = f"Bearer {Tokens(ours).mint_access(OPERATOR)}"
        queries = await opened.enter_async_context(running_query_api(ours))
        await queries.until_missing()
        yield Operations(ours, pool, client, queries)
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


def problem(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, str(reply.json()["type"]).rpartition("/")[2]


async def applied(of: Operations) -> bool:
    async with Ends(of.settings) as ends:
        return all(one.records == 0 for one in (await behind(ends, of.pool, TOPIC)).values())


async def test_a_view_is_rebuilt_swapped_in_and_back_over_http_through_kills(
    operations: Operations, tmp_path: Path
) -> None:
    workers: list[PlayheadProcess] = [Worker("postgres", operations.settings, tmp_path)]
    patience = {
        "rebuild_pause_lag_records": 10**9,
        "rebuilds_poll_interval_s": 0.1,
        "rebuild_ready_records": 10,
        "view_hand_back_quiet_s": 1.0,
    }

    def started() -> PlayheadProcess:
        workers.append(PlayheadProcess(("rebuilds",), operations.settings, tmp_path, **patience))
        return workers[-1]

    async def shows_building(process: PlayheadProcess) -> bool:
        return await process.metric("playhead_view_version_state", view=VIEW, state="building") == 1

    async def building() -> bool:
        return any(each["records_done"] > 10 for each in (await operations.versions()).values())

    try:
        await produce(operations.settings, evening(new_id(), sessions=40, reports=30))
        await eventually(lambda: applied(operations), 4 * PATIENCE_S)
        key = new_id()
        first = await operations.ask("rebuild", key, max_events_per_s=50)
        again = [await operations.ask("rebuild", each, max_events_per_s=50) for each in (key, None)]
        assert [each.json()["events"] for each in (first, *again)] == [["ViewChangeRequested"]] * 2 + [[]]
        await operations.have_other_folds(1)
        killed = started()
        await eventually(building)
        await eventually(lambda: shows_building(killed))
        assert [each["state"] for each in await operations.rebuild_shown()] == ["building"]
        killed.kill()
        assert (await operations.states())[2] == "building"
        assert problem(await operations.ask("versions/2/swap", force=True)) == (409, "view-version-unfit")

        two = [started(), started()]
        await operations.done("rebuild", max_events_per_s=1_000_000)
        await eventually(lambda: operations.has_ended(1))
        rebuilt = await operations.request(1)
        assert (rebuilt["status"], rebuilt["detail"], rebuilt["tries"]) == ("completed", "version 2 is ready", 2)
        for each in two:
            await eventually(each.is_ready)
        assert sum([await each.metric("playhead_rebuilds_leading") for each in two]) == 1
        assert problem(await operations.ask("versions/2/swap")) == (409, "view-version-unverified")
        verified = await operations.done("versions/2/verify")
        assert verified["detail"] == "version 2 holds the same rows as the live one"

        swap = await operations.ask("versions/2/swap")
        for each in two:
            each.kill()  # before it, in the midst of it, or after it: it is told once
        started()
        await eventually(lambda: operations.has_ended(swap.json()["version"]))
        assert await operations.states() == {1: "ready", 2: "live"}
        await eventually(lambda: operations.is_kept_by("projection"))  # it was kept here until the worker was seen
        assert problem(await operations.ask("versions/2/retire")) == (409, "view-version-unfit")
        refused = await operations.done("rollback")
        assert (refused["status"], "use the release that has them" in refused["detail"]) == ("failed", True)
        await operations.have_other_folds(0)
        assert (await operations.done("rollback"))["detail"] == "version 1 is live"
        assert (await operations.done("versions/2/retire"))["status"] == "completed"
        assert await operations.states() == {1: "live"}
        assert sorted(await operations.history()) == ["Completed"] * 6 + ["Failed"] + ["Requested"] * 7
    finally:
        for each in workers:
            each.close()


async def test_what_cannot_be_is_refused_at_once(operations: Operations) -> None:
    nothing = await operations.ask("rebuild")
    assert problem(nothing) == (404, "view-unknown")


async def test_what_waits_is_canceled_and_never_begun(operations: Operations) -> None:
    connection = await connect(operations.settings)
    await registry.register(connection, postgres_views(operations.settings))
    await connection.close()
    assert (await operations.ask("rebuild")).json()["version"] == 1
    canceled = await operations.ask("requests/1/cancel", reason="the wrong view")
    assert (canceled.status_code, canceled.json()["events"]) == (200, ["ViewChangeCanceled"])
    shown = await operations.request(1)
    assert (shown["status"], shown["detail"]) == ("canceled", "the wrong view")
    assert await open_requests(operations.pool) == []
    assert (await operations.ask("requests/1/cancel")).json()["events"] == []
    assert (await operations.ask("rebuild")).json()["version"] == 3
    await operations.pool.fetchval(BEGUN, VIEW, 3)
    assert problem(await operations.ask("requests/3/cancel")) == (409, "view-request-begun")
    assert problem(await operations.ask("requests/2/cancel")) == (404, "view-request-unknown")
    assert await operations.pool.fetchval(BEGUN, VIEW, 1) is None  # who had read it before it was canceled
