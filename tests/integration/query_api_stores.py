"""Rows as the projections write them, put into the stores directly, and a query API that reads them."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from infra import redis as redis_client
from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.cassandra import Cassandra
from infra.migrate import migrate
from infra.postgres import Pool, connect_pool
from infra.redis import Redis
from infra.settings import Settings
from query_api.app import create_app
from tests.integration.rates import unlimited
from tests.servers import Servers

NOW = datetime.now(UTC).replace(microsecond=0)
RECOVERY_S = 30
KEPT_DAYS = 50 * 365  # rows of tests have any date, and are there in any year
OPERATOR = Principal(subject="operations", roles=("operator",))


def settings_of(servers: Servers, state_dir: Path) -> Settings:
    at = servers.endpoints
    return Settings(
        state_dir=state_dir,
        kafka_bootstrap=at.kafka_bootstrap,
        postgres_dsn=at.postgres_dsn,
        cassandra_host=at.cassandra_host,
        cassandra_port=at.cassandra_port,
        redis_url=at.redis_url,
        read_your_writes_wait_s=1.0,
        query_timeout_s=3.0,
        minutes_kept_days=KEPT_DAYS,
        hours_kept_days=KEPT_DAYS,
    )


@dataclass(frozen=True)
class Stores:
    """The stores, written to as a projection would."""

    settings: Settings
    postgres: Pool
    cassandra: Cassandra
    redis: Redis

    async def title(self, title_id: str, **columns: object) -> None:
        row = {
            "title_id": title_id,
            "kind": "movie",
            "name": title_id.title(),
            "synopsis": "Something happens.",
            "duration_ms": 5_400_000,
            "maturity_system": "KMRB",
            "maturity_value": "12",
            "minimum_age": 12,
            "availability": json.dumps([{"territories": ["KR"], "starts_at": None, "ends_at": None}]),
            "seasons": "[]",
            "published_at": NOW,
            **columns,
        }
        await self._insert("catalog_titles", row)

    async def session(self, session_id: str, profile_id: str, **columns: object) -> None:
        row = {
            "session_id": session_id,
            "account_id": "household-1",
            "profile_id": profile_id,
            "title_id": "t-1",
            "title_name": "A Film",
            "title_kind": "movie",
            "device_id": "tv-1",
            "device_type": "tv",
            "state": "playing",
            "started_at": NOW,
            "last_at": NOW,
            "last_seq": 3,
            "position_ms": 30_000,
            "duration_ms": 5_400_000,
            "event_count": 5,
            "error_count": 0,
            "startup_ms": 800,
            "last_recorded_at": NOW,
            "moved_at": NOW,
            "folded": "[[4, []]]",
            **columns,
        }
        await self._insert("playback_sessions", row)

    async def dead_letter(self, letter_id: str, **columns: object) -> None:
        row = {
            "letter_id": letter_id,
            "projection": "redis",
            "topic": "playback.events",
            "partition": 0,
            "offset": 1,
            "reason": "undecodable",
            "detail": "malformed",
            "body": b"\xffgarbage",
            "recorded_at": NOW,
            **columns,
        }
        await self._insert("dead_letters", row)

    async def event(self, session_id: str, profile_id: str, seq: int, event_type: str, **columns: object) -> None:
        report = {"type": "heartbeat", "seq": seq}
        row = {
            "session_id": session_id,
            "seq": seq,
            "event_type": event_type,
            "at": NOW + timedelta(seconds=seq),
            "recorded_at": NOW + timedelta(seconds=seq),
            "position_ms": max(seq, 0) * 10_000,
            "report": json.dumps(report) if seq >= 0 else None,
            "profile_id": profile_id,
            "account_id": "household-1",
            **columns,
        }
        await self._insert_cql("session_timeline", row)

    async def watched(self, profile_id: str, started_at: datetime, session_id: str, **columns: object) -> None:
        row = {
            "profile_id": profile_id,
            "month": f"{started_at:%Y-%m}",
            "started_at": started_at,
            "session_id": session_id,
            "title_id": "t-1",
            "title_name": "A Film",
            "title_kind": "movie",
            "duration_ms": 1_000_000,
            "device_id": "tv-1",
            "device_type": "tv",
            "position_ms": 250_000,
            "last_at": started_at + timedelta(minutes=4),
            **columns,
        }
        await self._insert_cql("watch_history", row)

    async def continue_watching(self, profile_id: str, title_id: str, updated_ms: int, **fields: object) -> None:
        row = {
            "title_id": title_id,
            "kind": "movie",
            "name": title_id.title(),
            "position_ms": 250_000,
            "duration_ms": 1_000_000,
            "updated_at": "2026-01-01T20:15:30Z",
            "session_id": "s-1",
            "seq": 3,
            "state": "in_progress",
            **fields,
        }
        value = f"4711:{updated_ms}:{json.dumps(row)}"
        await self.redis.hset(f"continue_watching:{{{profile_id}}}", title_id, value)

    async def applied(self, store: str, topic: str, partition: int, position: int) -> None:
        """Move a store's checkpoint."""
        row = {"projection": store, "topic": topic, "partition": partition, "next_offset": 0, "position": position}
        if store == "postgres":
            await self._insert("projection_checkpoint", row)
        elif store == "cassandra":
            await self._insert_cql("projection_checkpoint", row)
        else:
            await self.redis.hset("projection_checkpoint:redis", f"{topic}:{partition}", f"0:{position}")

    async def _insert(self, table: str, row: Mapping[str, object]) -> None:
        names = ", ".join(f'"{name}"' for name in row)
        places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
        await self.postgres.execute(f"insert into {table} ({names}) values ({places})", *row.values())

    async def _insert_cql(self, table: str, row: Mapping[str, object]) -> None:
        places = ", ".join("%s" for _ in row)
        cql = f"insert into {table} ({', '.join(row)}) values ({places})"
        await self.cassandra.execute(cql, tuple(row.values()))


@asynccontextmanager
async def migrated_stores(servers: Servers, state_dir: Path) -> AsyncIterator[Stores]:
    settings = settings_of(servers, state_dir)
    await migrate(settings, lambda _: None)
    async with opened_stores(settings) as stores:
        yield stores


@asynccontextmanager
async def opened_stores(settings: Settings) -> AsyncIterator[Stores]:
    stores = Stores(
        settings, await connect_pool(settings), await Cassandra.connect(settings), redis_client.connect(settings)
    )
    yield stores
    await stores.redis.aclose()
    await stores.cassandra.close()
    await stores.postgres.close()


class QueryApi:
    """A running query API, asked as one principal or another."""

    def __init__(self, client: httpx.AsyncClient, tokens: Tokens) -> None:
        self._client = client
        self._tokens = tokens

    async def get(
        self, path: str, who: Principal, more: Mapping[str, str] | None = None, *, position: str | None = None
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._tokens.mint_access(who)}", **(more or {})}
        if position is not None:
            headers["Playhead-Position"] = position
        return await self._client.get(path, headers=headers)

    async def pages(self, path: str, *, who: Principal) -> list[list[dict[str, object]]]:
        """The items of every page; `path` ends in its query."""
        pages, query = [], ""
        while True:
            response = await self.get(path + query, who=who)
            assert response.status_code == 200, response.text
            pages.append(response.json()["items"])
            cursor = response.json()["next_cursor"]
            if cursor is None:
                return pages
            query = f"&cursor={cursor}"

    async def until_missing(self, *names: str) -> None:
        """Return once /ready names exactly these stores."""
        for _ in range(RECOVERY_S * 10):
            missing = (await self._client.get("/ready")).json()["missing"]
            if set(missing) == set(names):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"after {RECOVERY_S} s, /ready names {missing}")

    async def until_there(self, name: str) -> None:
        """Return once /ready does not name this store."""
        async with asyncio.timeout(RECOVERY_S):
            while name in (await self._client.get("/ready")).json()["missing"]:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running_query_api(settings: Settings, *, keeps_replies: bool = False) -> AsyncIterator[QueryApi]:
    """`keeps_replies`: for tests that fill views by the engine; rows that are put into a store move no checkpoint."""
    app = create_app(unlimited(settings).model_copy(update={"reply_cache": keeps_replies}))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://query") as client,
    ):
        yield QueryApi(client, Tokens(settings))


def viewer(profile_id: str) -> Principal:
    return Principal(subject="viewer", account_id="household-1", profile_id=profile_id)
