"""The whole way of a subscription on real servers: both APIs, the relay, the projections, the renewal process and the
fake payment provider over HTTP, on a clock that the test moves.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from commands.app import create_app
from commands.handling import Handling
from commands.subscription.billing_process import new_billing
from commands.subscription.installation import Deciders, policy_of
from commands.subscription.recording import Recording
from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.clock import utc_now
from infra.event_log import EventLog
from infra.ids import new_id
from infra.payments.http_provider import HttpPaymentProvider
from infra.payments.keys import PaymentKeys
from infra.postgres import Pool, connect_pool
from infra.relay import Relay
from infra.settings import Settings, environment_of_child
from playhead.fake_payments import create_app as create_provider
from query_api.app import create_app as create_query_api
from tests.infra.payments.fakes import Director
from tests.integration.projection_workers import Worker, eventually, free_port
from tests.serving import serving

STAFF = Principal(subject="billing-1", roles=("billing",))


def viewer(account_id: str) -> Principal:
    return Principal(subject=f"viewer-of-{account_id}", account_id=account_id, profile_id=f"{account_id}-profile")


@dataclass
class Stack:
    """What runs. `now`: what the commands and the renewal process take for the time; None: the real one."""

    settings: Settings
    pool: Pool
    commands: httpx.AsyncClient
    queries: httpx.AsyncClient
    provider: HttpPaymentProvider
    director: Director
    tokens: Tokens
    now: datetime | None = None
    position: dict[str, str] = field(default_factory=dict)

    def clock(self) -> datetime:
        return self.now or utc_now()

    async def post(
        self, path: str, body: dict[str, Any], who: Principal, *, key: str | None = None, **headers: str
    ) -> httpx.Response:
        """A command, under a key of its own."""
        reply = await self.commands.post(
            path, json=body, headers={**self._by(who), "Idempotency-Key": key or new_id(), **headers}
        )
        if position := reply.headers.get("playhead-position"):
            self.position["last"] = position
        return reply

    async def get(self, path: str, who: Principal) -> httpx.Response:
        """A query that has seen the last command."""
        return await self.queries.get(path, headers=self._by(who) | {"Playhead-Position": self.position["last"]})

    async def items(self, path: str, who: Principal) -> list[dict[str, Any]]:
        """All pages of a listing."""
        items: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = (await self.get(f"{path}?limit=2{cursor}", who)).raise_for_status().json()
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = f"&cursor={page['next_cursor']}"

    async def bill(self) -> None:
        """Do what is due, as a renewal process that has just been started, and wait until it can be read."""
        await self.projected()
        await new_billing(self.pool, self.provider, self.settings, self.clock).run_once()
        await self.projected()

    async def projected(self) -> None:
        """Wait until every event of the context is in its views."""
        await eventually(self._caught_up)

    async def _caught_up(self) -> bool:
        behind = await self.pool.fetchval(
            """select count(*) from (
                   select partition, max(position) as position from event_log
                   where type like 'subscription.%' group by partition) as log
               left join projection_checkpoint as held
                   on held.partition = log.partition and held.topic = 'subscription.events'
                      and held.projection = 'postgres'
               where coalesce(held.position, 0) < log.position"""
        )
        return bool(behind == 0)

    def _by(self, who: Principal) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens.mint_access(who)}"}


class BillingProcess:
    """A process of `playhead billing`."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self.port = free_port()
        environment = environment_of_child(
            state_dir=directory,
            keys_dir=settings.keys_path,
            postgres_dsn=settings.postgres_dsn,
            payments_url=settings.payments_url,
            payments_retry_base_s=0.01,
            probe_port=self.port,
            billing_poll_interval_s=0.05,
            billing_recheck_s=0.2,
        )
        with (directory / f"billing-{self.port}.log").open("wb") as log:
            command = [sys.executable, "-m", "playhead", "billing"]
            self._process = subprocess.Popen(command, env=environment, stderr=log)

    async def ready(self) -> bool:
        """Whether its probe says so."""
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"http://127.0.0.1:{self.port}/ready")).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """As a crash would."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """As an orderly supervisor would; the exit code."""
        self._process.terminate()
        return self._process.wait(20)


@asynccontextmanager
async def running_stack(live: Settings, directory: Path) -> AsyncIterator[Stack]:
    """All of it."""
    async with AsyncExitStack() as opened:
        app = create_app(live)
        commands_url = await opened.enter_async_context(serving(app))
        fake = create_provider(live, webhook_url=f"{commands_url}/v1/payments/webhooks")
        provider_url = await opened.enter_async_context(serving(fake))
        settings = live.model_copy(update={"payments_url": provider_url, "payments_retry_base_s": 0.001})
        keys = PaymentKeys.load(settings)
        provider = await opened.enter_async_context(HttpPaymentProvider(keys, settings))
        director = Director(provider_url, keys)
        opened.push_async_callback(director.aclose)
        pool = await connect_pool(settings)
        opened.push_async_callback(pool.close)
        queries = create_query_api(settings)
        await opened.enter_async_context(queries.router.lifespan_context(queries))
        stack = Stack(
            settings,
            pool,
            await opened.enter_async_context(httpx.AsyncClient(base_url=commands_url)),
            await opened.enter_async_context(
                httpx.AsyncClient(transport=httpx.ASGITransport(queries), base_url="http://queries")
            ),
            provider,
            director,
            Tokens(settings),
        )
        handling = Handling(EventLog(pool, settings), stack.clock)
        app.state.resources = replace(app.state.resources, handling=handling)
        app.state.on_payment_event = Recording(handling, Deciders.under(policy_of(settings))).on_webhook
        await opened.enter_async_context(_relayed(pool, settings))
        worker = Worker("postgres", settings, directory)
        opened.callback(worker.close)
        await eventually(worker.is_ready)
        yield stack


@asynccontextmanager
async def _relayed(pool: Pool, settings: Settings) -> AsyncIterator[None]:
    relay = Relay(pool, settings)
    running = asyncio.create_task(relay.run())
    yield
    relay.stop()
    await running


DAY = timedelta(days=1)
