"""Commands that are cut off by the time limit: committed or not, and repeated under their key to know which."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from commands.app import create_app
from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.ids import new_id
from infra.postgres import Pool
from infra.settings import Settings
from tests.integration.rates import unlimited

pytestmark = pytest.mark.integration

EDITOR = Principal(subject="editor-in-haste", roles=("editor",))
SERIES = {"name": "Cut", "synopsis": "Off.", "maturity": {"system": "KR", "value": "12", "minimum_age": 12}}
TIMEOUTS_S = (0.002, 0.004, 0.008, 0.016, 0.032)
TRIES = 8
"""With each."""


@asynccontextmanager
async def commands(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings)
    headers = {"Authorization": f"Bearer {Tokens(settings).mint_access(EDITOR)}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://commands", headers=headers) as client,
    ):
        yield client


async def publish(client: httpx.AsyncClient, key: str) -> httpx.Response:
    return await client.post("/v1/catalog/series", json={**SERIES, "name": key}, headers={"Idempotency-Key": key})


async def published(postgres: Pool, key: str) -> int:
    found: int = await postgres.fetchval(
        "select count(*) from event_log where convert_from(body, 'UTF8')::jsonb #>> '{data,details,texts,0,name}' = $1",
        key,
    )
    return found


async def test_a_command_that_waits_too_long_is_rolled_back_and_can_be_repeated(live: Settings, postgres: Pool) -> None:
    key = new_id()
    async with commands(live.model_copy(update={"request_timeout_s": 0.5})) as hasty, commands(live) as patient:
        async with postgres.acquire() as holding, holding.transaction():
            await holding.execute("select from partition_head for update")
            cut = await publish(hasty, key)
            assert cut.status_code == 503
            assert cut.json()["type"].endswith("/request-timed-out")
            assert int(cut.headers["retry-after"]) > 0
        assert await published(postgres, key) == 0
        assert (await publish(patient, key)).status_code == 201
        assert await published(postgres, key) == 1


async def test_wherever_a_command_is_cut_off_repeating_it_makes_it_happen_once(live: Settings, postgres: Pool) -> None:
    keys: list[str] = []
    cut = 0
    for timeout_s in TIMEOUTS_S:
        async with commands(unlimited(live).model_copy(update={"request_timeout_s": timeout_s})) as hasty:
            for _ in range(TRIES):
                keys.append(new_id())
                cut += (await publish(hasty, keys[-1])).status_code == 503
    assert cut, "none was cut off: there must be shorter TIMEOUTS_S"
    async with commands(unlimited(live)) as patient:
        replies = await asyncio.gather(*(publish(patient, key) for key in keys))
    assert {reply.status_code for reply in replies} == {201}
    assert [await published(postgres, key) for key in keys] == [1] * len(keys)
