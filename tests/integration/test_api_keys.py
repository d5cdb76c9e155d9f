"""API keys on real servers: issued and revoked over HTTP, and taken by both APIs for as long as they should be."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from infra.access.api_keys import ApiKeys, digest_of, written
from infra.access.permissions import Principal, Scope
from infra.access.tokens import BadToken
from infra.clock import utc_now
from infra.ids import new_id
from infra.personal_data import MasterKey
from infra.postgres import Pool
from infra.settings import Settings
from query_api.app import create_app as create_query_api
from tests.integration.households import House, problem, running_house
from tests.integration.projection_workers import eventually

pytestmark = pytest.mark.integration

OPERATOR = Principal(subject="operator-1", roles=("operator",))
EDITOR = Principal(subject="editor-1", roles=("editor",))
VIEWER = Principal(subject="viewer-1", account_id="account-1", profile_id="profile-1")
DASHBOARD = {"name": "Grafana", "scopes": ["playback:read", "catalog:read"]}
KEPT_S = 0.3


@pytest.fixture(scope="module")
async def house(live: Settings) -> AsyncIterator[House]:
    async with running_house(live, api_key_kept_s=KEPT_S, api_key_used_interval_s=0.1) as house:
        yield house


@pytest.fixture(scope="module")
async def queries(live: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_query_api(live.model_copy(update={"api_key_kept_s": KEPT_S, "api_key_used_interval_s": 0.1}))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://queries") as client,
    ):

        async def connected() -> bool:
            return "postgres" not in await app.state.sources.missing()

        await eventually(connected)
        yield client


async def ask(
    house: House, path: str, body: Any, by: Principal | str = OPERATOR, key: str | None = None
) -> httpx.Response:
    token = by if isinstance(by, str) else house.app.state.tokens.mint_access(by)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} | (
        {"Idempotency-Key": key} if key else {}
    )
    return await house.client.post(path, content=json.dumps(body), headers=headers)


async def issue(house: House, key: str | None = None, by: Principal | str = OPERATOR, **changes: Any) -> httpx.Response:
    return await ask(house, "/v1/api-keys", DASHBOARD | changes, by, key or str(uuid4()))


async def issued(house: House, **changes: Any) -> dict[str, Any]:
    reply: dict[str, Any] = (await issue(house, **changes)).raise_for_status().json()
    return reply


async def get(queries: httpx.AsyncClient, path: str, key: str) -> httpx.Response:
    return await queries.get(path, headers={"Authorization": f"bearer {key}"})


# Issuing


async def test_a_key_is_shown_once_and_kept_as_a_digest(house: House, postgres: Pool) -> None:
    reply = await issue(house, expires_at="2036-01-01T00:00:00+09:00")
    assert reply.status_code == 201 and reply.headers["Cache-Control"] == "no-store"
    key = reply.json()
    assert key["scopes"] == ["catalog:read", "playback:read"] and key["expires_at"] == "2035-12-31T15:00:00Z"
    row = await postgres.fetchrow("select * from identity_api_key_secrets where api_key_id = $1", key["api_key_id"])
    assert row is not None and row["digest"] == digest_of(key["key"])
    events = await postgres.fetch(
        "select body from event_log where stream_id = $1", f"identity.api_key-{key['api_key_id']}"
    )
    replies = await postgres.fetch("select reply from idempotency")
    secret = key["key"].split("_", 2)[2][:43].encode()
    assert len(events) == 1 and not any(secret in bytes(each[0]) for each in (*events, *replies))


async def test_a_request_that_is_repeated_gets_the_same_key_and_makes_no_other(house: House, postgres: Pool) -> None:
    name, key = f"once {new_id()}", new_id()
    replies = await asyncio.gather(*(issue(house, key, name=name) for _ in range(8)))
    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.json()["key"] for reply in replies}) == 1
    count = "select count(*) from identity_api_key_secrets where name = $1"
    assert await postgres.fetchval(count, name) == 1
    assert problem(await issue(house, key, name="another")) == (422, "idempotency-key-reused")


async def test_a_key_whose_master_key_is_gone_is_not_replaced_by_another(house: House) -> None:
    key = new_id()
    first = (await issue(house, key)).json()
    master, house.app.state.master_key = house.app.state.master_key, MasterKey.alone(bytes(32))
    again = await issue(house, key)
    house.app.state.master_key = master
    # The request itself is not recognised any more either: its digest is under the master key.
    assert problem(again) in {(409, "api-key-shown"), (422, "idempotency-key-reused")}
    assert (await issue(house, key)).json() == first


async def test_a_process_that_dies_before_the_commit_leaves_no_key(
    house: House, postgres: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_id()
    count = "select (select count(*) from identity_api_key_secrets), (select count(*) from event_log)"
    before = await postgres.fetchrow(count)

    async def dying(*_: object, **__: object) -> str:
        raise ConnectionResetError("killed")

    monkeypatch.setattr("infra.event_log.log.Opened.record", dying)
    assert problem(await issue(house, key)) == (503, "store-unavailable")
    monkeypatch.undo()
    assert await postgres.fetchrow(count) == before
    assert (await issue(house, key)).status_code == 201


@pytest.mark.parametrize(
    ("by", "change", "refusal"),
    [
        (VIEWER, {}, (403, "scope-missing")),
        (EDITOR, {}, (403, "scope-missing")),
        ("not a token", {}, (401, "unauthenticated")),
        (OPERATOR, {"scopes": ["catalog:write"]}, (403, "scopes-not-yours")),
        (OPERATOR, {"scopes": ["playback:read", "billing:write"]}, (403, "scopes-not-yours")),
        (
            Principal(subject="both", account_id="a", roles=("operator",)),
            {"scopes": ["playback"]},
            (403, "scopes-not-yours"),
        ),
        (
            Principal(subject="both", account_id="a", roles=("operator",)),
            {"scopes": ["account"]},
            (403, "scopes-not-yours"),
        ),
        (OPERATOR, {"scopes": []}, (422, "invalid-request")),
        (OPERATOR, {"scopes": ["everything"]}, (422, "invalid-request")),
        (OPERATOR, {"scopes": ["playback:read\x00"]}, (422, "invalid-request")),
        (OPERATOR, {"name": ""}, (422, "invalid-request")),
        (OPERATOR, {"name": "nul\x00"}, (422, "invalid-request")),
        (OPERATOR, {"name": "left\u202eright"}, (422, "invalid-request")),
        (OPERATOR, {"expires_at": "2020-01-01T00:00:00Z"}, (422, "api-key-expiry-past")),
        (OPERATOR, {"expires_at": "2036-01-01T00:00:00"}, (422, "invalid-request")),
        (OPERATOR, {"expires_at": "9999-12-31T23:59:59-23:00"}, (422, "invalid-request")),
        (OPERATOR, {"name": "half of a pair: \ud83d"}, (422, "invalid-request")),
        (OPERATOR, {"api_key": "phk_mine"}, (422, "invalid-request")),
    ],
)
async def test_what_is_not_allowed_issues_nothing(
    house: House, postgres: Pool, by: Principal | str, change: dict[str, Any], refusal: tuple[int, str]
) -> None:
    count = "select count(*) from identity_api_key_secrets"
    before = await postgres.fetchval(count)
    assert problem(await issue(house, by=by, **change)) == refusal
    assert await postgres.fetchval(count) == before


async def test_names_with_code_in_them_are_names(house: House, postgres: Pool) -> None:
    for name in ("'); drop table identity_api_key_secrets;--", 'a "quoted" \\ name', "{'a': 1}; TRUNCATE t;", "%s $1"):
        key = await issued(house, name=name)
        kept = "select name from identity_api_key_secrets where api_key_id = $1"
        assert await postgres.fetchval(kept, key["api_key_id"]) == name


async def test_issuing_needs_an_idempotency_key(house: House) -> None:
    assert problem(await ask(house, "/v1/api-keys", DASHBOARD)) == (400, "idempotency-key-missing")


# Using


async def test_a_key_is_taken_by_both_apis_for_its_scopes_alone(house: House, queries: httpx.AsyncClient) -> None:
    key = await issued(house, scopes=["catalog:read", "api_keys:write"])
    assert (await get(queries, "/v1/plans", key["key"])).status_code == 200
    assert problem(await get(queries, "/v1/dead-letters", key["key"])) == (403, "scope-missing")
    made = await issue(house, by=key["key"], scopes=["catalog:read"])
    assert made.status_code == 201
    assert problem(await issue(house, by=key["key"], scopes=["playback:read"])) == (403, "scopes-not-yours")
    assert problem(await issue(house, by=made.json()["key"])) == (403, "scope-missing")


async def test_a_key_goes_on_to_the_routes_where_there_is_a_short_way(house: House, queries: httpx.AsyncClient) -> None:
    path = "/v1/profiles/nobody-yet/continue-watching"
    key = await issued(house)
    assert (await get(queries, path, key["key"])).status_code == 200
    narrow = await issued(house, scopes=["audit:read"])
    assert problem(await get(queries, path, narrow["key"]))[0] == 403
    report = await ask(house, "/v1/playback/sessions/s1/events", {}, key["key"])
    assert problem(report) == (401, "playback-token-invalid")


async def test_a_key_plays_nothing_and_owns_nothing(house: House) -> None:
    key = (await issued(house))["key"]
    start = {"title_id": "t", "device": {"device_id": "d", "type": "tv"}}
    assert problem(await ask(house, "/v1/playback/sessions", start, key)) == (403, "scope-missing")
    assert problem(await ask(house, "/v1/accounts/a1/profiles", {"name": "A"}, key)) == (403, "scope-missing")


async def test_what_is_done_with_a_key_is_in_the_log_under_its_id(house: House, postgres: Pool) -> None:
    key = await issued(house, scopes=["api_keys:write", "catalog:read"])
    made = await issue(house, by=key["key"], scopes=["catalog:read"])
    body = "select convert_from(body, 'UTF8') from event_log where stream_id = $1"
    recorded = await postgres.fetchval(body, f"identity.api_key-{made.json()['api_key_id']}")
    assert f'"principal":"api_key:{key["api_key_id"]}"' in recorded


async def test_a_revoked_key_is_soon_taken_nowhere(house: House, queries: httpx.AsyncClient) -> None:
    key = await issued(house)
    assert (await get(queries, "/v1/plans", key["key"])).status_code == 200
    revoke = f"/v1/api-keys/{key['api_key_id']}/revoke"
    assert problem(await ask(house, revoke, {}, VIEWER)) == (403, "scope-missing")
    assert (await ask(house, revoke, {})).json()["events"] == ["ApiKeyRevoked"]
    assert (await ask(house, revoke, {})).json()["events"] == []
    await asyncio.sleep(KEPT_S)
    refused = await get(queries, "/v1/plans", key["key"])
    assert problem(refused) == (401, "unauthenticated") and "invalid_token" in refused.headers["WWW-Authenticate"]
    assert problem(await issue(house, by=key["key"])) == (401, "unauthenticated")
    assert problem(await ask(house, "/v1/api-keys/no-such/revoke", {})) == (404, "api-key-unknown")


async def test_a_key_that_expires_is_not_taken_though_it_is_kept(live: Settings, house: House, postgres: Pool) -> None:
    at = utc_now()
    key = await issued(house, expires_at=(at + timedelta(hours=1)).isoformat())
    now = [at]
    keys = ApiKeys(lambda: nullcontext(postgres), live, clock=lambda: now[0])
    assert (await keys.principal(key["key"])).scopes == {Scope.PLAYBACK_READ, Scope.CATALOG_READ}
    now[0] = at + timedelta(hours=1)
    with pytest.raises(BadToken, match="expired"):
        await keys.principal(key["key"])


async def test_when_a_key_was_used_is_written_down_now_and_then(
    house: House, queries: httpx.AsyncClient, postgres: Pool
) -> None:
    key, since = await issued(house), utc_now()
    used = "select last_used_at from identity_api_key_secrets where api_key_id = $1"
    assert await postgres.fetchval(used, key["api_key_id"]) is None
    await get(queries, "/v1/plans", key["key"])

    async def noted() -> bool:
        at: datetime | None = await postgres.fetchval(used, key["api_key_id"])
        return at is not None and at >= since

    await eventually(noted)


class Lending:
    """Lends a pool, and counts; or does not."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.asked = 0
        self.away = False

    def __call__(self) -> AbstractAsyncContextManager[Pool]:
        self.asked += 1
        if self.away:
            raise ConnectionRefusedError("Postgres is away")
        return nullcontext(self.pool)


async def test_a_key_is_looked_up_once_in_a_while_and_so_is_one_that_is_none(
    live: Settings, house: House, postgres: Pool
) -> None:
    key = (await issued(house))["key"]
    nobodys = key_like(house, "made up")
    elapsed_s, lending = [0.0], Lending(postgres)
    keys = ApiKeys(lending, live, elapsed_s=lambda: elapsed_s[0])
    for _ in range(10):
        await keys.principal(key)
        with pytest.raises(BadToken, match="never issued"):
            await keys.principal(nobodys)
    assert lending.asked == 2
    elapsed_s[0] += live.api_key_kept_s
    await keys.principal(key)
    assert lending.asked == 3


async def test_keys_that_are_known_outlive_postgres_until_they_are_stale(
    live: Settings, house: House, postgres: Pool
) -> None:
    known, unmet = (await issued(house))["key"], (await issued(house))["key"]
    elapsed_s, lending = [0.0], Lending(postgres)
    keys = ApiKeys(lending, live, elapsed_s=lambda: elapsed_s[0])
    await keys.principal(known)
    lending.away = True
    await keys.principal(known)
    await keys.note_uses()  # cannot be written now, and is not lost
    with pytest.raises(ConnectionRefusedError):
        await keys.principal(unmet)
    elapsed_s[0] += live.api_key_kept_s
    with pytest.raises(ConnectionRefusedError):
        await keys.principal(known)
    lending.away = False
    await keys.note_uses()
    used = "select last_used_at is not null from identity_api_key_secrets where digest = $1"
    assert await postgres.fetchval(used, digest_of(known))


async def test_made_up_keys_push_out_none_that_is_in_use(live: Settings, house: House, postgres: Pool) -> None:
    key, lending = (await issued(house))["key"], Lending(postgres)
    keys = ApiKeys(lending, live.model_copy(update={"api_keys_kept": 4}))
    await keys.principal(key)
    for number in range(12):
        with pytest.raises(BadToken):
            await keys.principal(key_like(house, str(number)))
    assert lending.asked == 13
    await keys.principal(key)
    assert lending.asked == 13


async def test_both_apis_answer_503_while_postgres_is_away(live: Settings, house: House) -> None:
    away = live.model_copy(update={"postgres_dsn": "postgresql://playhead@127.0.0.1:1/none"})
    key = key_like(house, "any")
    app = create_query_api(away)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://queries") as client,
    ):
        assert problem(await get(client, "/v1/plans", key)) == (503, "store-unavailable")
    async with running_house(away) as without:
        assert problem(await issue(without, by=key)) == (503, "store-unavailable")


def key_like(house: House, text: str) -> str:
    """A well-written key that nobody issued."""
    return written(new_id(), house.app.state.master_key.digest(text))
