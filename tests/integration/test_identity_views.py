"""The views of identity on real servers: read over HTTP, exact through kills and repeats, and rebuilt when Redis was
emptied.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from commands.identity import commands as c
from events.identity import Preferences
from events.topics import IDENTITY, POSITION_HEADER
from infra.access.permissions import Principal
from infra.ids import new_id
from infra.kafka import new_producer
from infra.postgres import Pool
from infra.redis import Redis, connect
from infra.settings import Settings
from tests.integration.identity_stack import Household, in_postgres, in_redis, live_a_life, register, replayed
from tests.integration.projection_workers import Worker, eventually
from tests.integration.subscription_stack import Stack, running_stack

pytestmark = pytest.mark.integration

OPERATOR = Principal(subject="operator-1", roles=("operator",))
AUDITOR = Principal(subject="auditor-1", roles=("auditor",))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tmp_path_factory.mktemp("identity"))


@pytest.fixture(scope="module")
async def stack(live: Settings, directory: Path) -> AsyncIterator[Stack]:
    async with running_stack(live, directory) as running:
        yield running


@pytest.fixture
async def redis(live: Settings) -> AsyncIterator[Redis]:
    client = connect(live)
    yield client
    await client.aclose()


@pytest.fixture
async def home(stack: Stack) -> Household:
    return await register(stack.pool, stack.settings, "anna@example.com")


@dataclass
class Reader:
    """Reads what is an account's, having seen its last command."""

    stack: Stack
    home: Household

    async def get(self, what: str, who: Principal | None = None) -> httpx.Response:
        self.stack.position["last"] = self.home.position
        return await self.stack.get(f"/v1/accounts/{self.home.account_id}{what}", who or self.home.owner())

    async def read(self, what: str, who: Principal | None = None) -> Any:
        return (await self.get(what, who)).raise_for_status().json()


@pytest.fixture
def reader(stack: Stack, home: Household) -> Reader:
    return Reader(stack, home)


async def test_an_account_is_read_with_what_is_its_own(reader: Reader, home: Household) -> None:
    tv, phone, anna = home.signs_in("tv"), home.signs_in("phone"), home.adds("Anna")
    preferences = Preferences(audio_language="nl", quality="best")
    await home.has(tv, phone, anna)
    await home.has(c.SetPin(profile_id=anna.profile.profile_id, proved=True))
    await home.has(c.ChangePreferences(profile_id=anna.profile.profile_id, preferences=preferences))
    for who in (home.owner(tv), OPERATOR):
        account = await reader.read("", who)
        assert (account["email"], account["erased"], account["status"]) == ("anna@example.com", False, "active")
    [profile] = (await reader.read("/profiles"))["items"]
    assert (profile["name"], profile["has_pin"], profile["preferences"]["quality"]) == ("Anna", True, "best")
    devices = (await reader.read("/devices", home.owner(tv)))["items"]
    assert [(each["name"], each["current"]) for each in devices] == [("The tv", True), ("The phone", False)]
    sessions = (await reader.read("/sessions", home.owner(phone)))["items"]
    assert [(each["device_name"], each["current"], each["lasts"]) for each in sessions] == [
        ("The phone", True, True),
        ("The tv", False, True),
    ]
    assert sessions[0]["last_used_at"] is not None


async def test_sessions_come_in_pages_and_those_that_are_over_can_be_left_out(
    reader: Reader, stack: Stack, home: Household
) -> None:
    signed_in = [home.signs_in(f"device-{number}") for number in range(5)]
    await home.has(*signed_in)
    await home.has(*(c.SignOut(sign_in_id=each.sign_in_id) for each in signed_in[:3]))
    await reader.read("/sessions")
    path = f"/v1/accounts/{home.account_id}/sessions"
    everything = await stack.items(path, home.owner())
    assert [each["sign_in_id"] for each in everything] == [each.sign_in_id for each in reversed(signed_in)]
    assert [each["end_reason"] for each in everything] == [None, None, *["signed_out"] * 3]
    lasting = (await reader.read("/sessions?lasting=true&limit=1"))["items"]
    assert [each["sign_in_id"] for each in lasting] == [signed_in[4].sign_in_id]
    await stack.pool.execute(
        "update identity_grants set expires_at = now() where sign_in_id = $1", signed_in[4].sign_in_id
    )
    lasting = (await reader.read("/sessions?lasting=true"))["items"]
    assert [each["sign_in_id"] for each in lasting] == [signed_in[3].sign_in_id]


async def test_a_withdrawn_account_is_erased_wherever_it_is_read(reader: Reader, home: Household) -> None:
    await home.has(home.signs_in("tv"), home.adds("Anna"))
    await home.has(c.WithdrawAccount())
    account = await reader.read("", OPERATOR)
    assert (account["email"], account["erased"], account["status"]) == (None, True, "withdrawn")
    assert (await reader.read("/profiles", OPERATOR))["items"] == []
    assert (await reader.read("/devices", OPERATOR))["items"] == []
    [session] = (await reader.read("/sessions", OPERATOR))["items"]
    assert (session["end_reason"], session["device_name"], session["lasts"]) == ("withdrawn", None, False)


async def test_nothing_can_be_opened_from_the_moment_that_the_key_is_destroyed(
    reader: Reader, stack: Stack, home: Household
) -> None:
    """Before any view has heard of it."""
    await home.has(home.signs_in("tv"), home.adds("Anna"))
    await reader.read("")
    await stack.pool.execute("update person_key set wrapped = null where person_id = $1", home.account_id)
    account = await reader.read("")
    assert (account["email"], account["erased"]) == (None, True)
    for what in ("/profiles", "/devices"):
        [item] = (await reader.read(what))["items"]
        assert (item["name"], item["erased"]) == (None, True)


async def test_an_account_that_nobody_registered_is_unknown(stack: Stack, home: Household) -> None:
    stack.position["last"] = home.position
    reply = await stack.get(f"/v1/accounts/{new_id()}", OPERATOR)
    assert (reply.status_code, reply.json()["type"].rpartition("/")[2]) == (404, "account-unknown")
    stranger = await stack.get(f"/v1/accounts/{home.account_id}", Principal(subject="other", account_id="other"))
    assert stranger.status_code == 403


async def test_api_keys_are_listed_with_who_issued_them_and_when_they_were_used(stack: Stack) -> None:
    body = {"name": f"Grafana {new_id()[-6:]}", "scopes": ["operations:read", "playback:read"]}
    issued = (await stack.post("/v1/api-keys", body, OPERATOR)).raise_for_status().json()
    used_at = await stack.pool.fetchval(
        "update identity_api_key_secrets set last_used_at = now() where api_key_id = $1 returning last_used_at",
        issued["api_key_id"],
    )
    [key] = [each for each in await stack.items("/v1/api-keys", OPERATOR) if each["name"] == body["name"]]
    assert (key["issued_by"], key["scopes"], key["revoked_at"]) == ("operator-1", body["scopes"], None)
    assert key["last_used_at"] == used_at.isoformat().replace("+00:00", "Z")
    assert issued["key"] not in str(key)
    (await stack.post(f"/v1/api-keys/{issued['api_key_id']}/revoke", {}, OPERATOR)).raise_for_status()
    [key] = [each for each in await stack.items("/v1/api-keys", OPERATOR) if each["name"] == body["name"]]
    assert key["revoked_at"] is not None


async def _as_replayed(stack: Stack, redis: Redis, homes: list[Household]) -> bool:
    expected = await replayed(stack.pool, stack.settings, homes)
    revoked = expected.pop("identity_revoked")
    assert revoked
    rows = await in_postgres(stack.pool, expected)
    return rows == expected and await in_redis(redis, stack.settings, revoked) == revoked


async def _repeat(pool: Pool, settings: Settings, homes: list[Household]) -> None:
    """Produce every event of accounts once more, as a relay that was killed before it noted how far it was."""
    rows = await pool.fetch(
        "select * from event_log where stream_id = any($1) order by partition, position",
        [f"identity.account-{home.account_id}" for home in homes],
    )
    producer = new_producer(settings)
    await producer.start()
    try:
        for row in rows:
            headers = [(POSITION_HEADER, b"%d" % row["position"])]
            await producer.send(
                IDENTITY.name, row["body"], key=row["stream_id"].encode(), partition=row["partition"], headers=headers
            )
        await producer.flush()
    finally:
        await producer.stop()


async def test_every_row_equals_a_replay_though_projections_are_killed_and_records_come_twice(
    stack: Stack, redis: Redis, directory: Path
) -> None:
    homes = [await register(stack.pool, stack.settings, f"{number}@example.com") for number in range(8)]
    started: list[Worker] = []

    async def another_pair() -> None:
        started.extend(Worker(store, stack.settings, directory) for store in ("postgres", "redis"))
        for worker in started[-2:]:
            await eventually(worker.is_ready)

    try:
        await another_pair()
        for _ in range(2):
            living = asyncio.gather(*(live_a_life(home, 3) for home in homes))
            await asyncio.sleep(0.2)
            for worker in started[-2:]:
                worker.kill()
            await another_pair()
            await living
            await _repeat(stack.pool, stack.settings, homes)
        await homes[0].has(c.WithdrawAccount())
        await eventually(partial(_as_replayed, stack, redis, homes))
        await redis.flushall()
        await eventually(partial(_as_replayed, stack, redis, homes))
    finally:
        for worker in started:
            worker.close()
