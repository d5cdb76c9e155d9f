"""Continue watching: the CPU that the query API takes for a GET, against a bare handler that replies with the same
bytes: of profiles that it read before, of those of which a row has moved since, and of those that it never saw.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import msgspec

from events.playback import TitleSnapshot
from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.clock import utc_now
from infra.ids import new_id
from infra.postgres import connect_pool
from infra.redis import Redis, connect
from projections.playback.completion import Thresholds
from projections.playback.continue_watching import Bookmark, ContinueWatching, State
from projections.stores.redis import RedisStore
from projections.subscription.account_holdings import THE_SUBSCRIPTION, AccountHoldings, Holding
from projections.views import HashView, Shelf
from tests import builders
from tests.benchmarks import bare_continue_watching, catalogue, players
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import Child, playhead, running
from tests.benchmarks.connections import connections, send_all
from tests.benchmarks.results import Line, at_most

GOAL = 1.3
VIEWERS = 1_000
TIMES = 4
"""How often each asks in a round, where nothing moves."""
ROUNDS = 5
CONNECTIONS = 32
ROWS = 12
"""Of a profile: a sixth is completed and not shown, another sixth is followed by the next episode."""
STATES: dict[int, State] = {4: "next_episode", 5: "completed"}
TITLES = 5_000
TERRITORY = "NL"
KEPT_S = 86_400
MINUTE_MS = 60_000
WINDOWS = "insert into catalog_windows (title_id, territory, licence) select unnest($1::text[]), $2, 'svod'"


class RepliesDiffer(Exception):
    """The bare handler replied with other bytes: what it cost says nothing."""


class Viewers:
    """Profiles, each of an account of its own that subscribed, with rows as the projection writes them."""

    def __init__(self, bench: Bench, client: Redis) -> None:
        self._bench = bench
        self._client = client
        self._rows = ContinueWatching(Thresholds(), most_rows=200, ttl_s=KEPT_S)
        self._held = AccountHoldings(most_rows=100, ttl_s=KEPT_S)
        self._offset = count(int(utc_now().timestamp() * 1e6))  # later than in any run before
        self._accounts = [new_id() for _ in range(VIEWERS)]
        self.requests = _requests(Tokens(bench.settings), self._accounts)

    async def sit_down(self) -> None:
        """Put what they hold and watch into Redis."""
        now = utc_now()
        [subscribed] = catalogue.subscriptions(1, now)
        held = Holding(subscription=subscribed, updated_at=now)
        await self._save(self._held, ((Shelf(each, THE_SUBSCRIPTION), held) for each in self._accounts))
        rows = ((each, row) for number, each in enumerate(self._accounts) for row in _bookmarks(number, now))
        await self._save(self._rows, ((Shelf(each, row.title_id), row) for each, row in rows))

    async def watch_on(self) -> None:
        """Let each of them come further in what they watch."""
        now = utc_now()
        rows = ((each, next(_bookmarks(number, now))) for number, each in enumerate(self._accounts))
        await self._save(self._rows, ((Shelf(each, row.title_id), row) for each, row in rows))

    async def prepare(self, replies: list[bytes]) -> None:
        """Give the bare handler its replies."""
        for account_id, reply in zip(self._accounts, replies, strict=True):
            await self._client.set(bare_continue_watching.KEY.format(account_id), reply, ex=KEPT_S)

    async def _save(self, view: HashView[Any], rows: Iterable[tuple[Shelf, msgspec.Struct]]) -> None:
        store = RedisStore(self._bench.settings, [view])
        await store.open()
        await store.save(view, {shelf: (row, next(self._offset)) for shelf, row in rows})
        await store.close()


async def run(bench: Bench) -> list[Line]:
    """A line for each kind of viewer, taken in turn from both."""
    await _fill(bench)
    port = "query_port"
    async with (
        _redis(bench) as client,
        running(bench, "query-api", *playhead("query-api"), port_setting=port, default_territory=TERRITORY) as ours,
        running(bench, "bare", "-m", bare_continue_watching.__name__, port_setting=port) as bare,
    ):
        sides = _Sides(bench, ours, bare)
        known = await _newcomers(bench, client)
        await sides.compare(known, TIMES)  # code paths warm, tokens verified once
        again = [await sides.compare(known, TIMES) for _ in range(ROUNDS)]
        moved = []
        for _ in range(ROUNDS):
            await known.watch_on()
            moved.append(await sides.compare(known))
        new = [await sides.compare(await _newcomers(bench, client)) for _ in range(ROUNDS)]
    del bench.peaks_mb["bare"]
    return [_line("as it was", again, GOAL), _line("a row moved", moved, GOAL), _line("never seen", new, None)]


class _Sides:
    """The two that are compared."""

    def __init__(self, bench: Bench, ours: Child, bare: Child) -> None:
        self._bench = bench
        self._ours = ours
        self._bare = bare

    async def compare(self, viewers: Viewers, times: int = 1) -> tuple[float, float]:
        """CPU us of a request, ours and the bare one's, for the same replies."""
        ours = await self._cpu_us(viewers, self._ours, times)
        replies = await _replies(viewers, self._ours)
        await viewers.prepare(replies)
        bare = await self._cpu_us(viewers, self._bare, times)
        if await _replies(viewers, self._bare) != replies:
            raise RepliesDiffer
        return ours, bare

    async def _cpu_us(self, viewers: Viewers, server: Child, times: int) -> float:
        requests = viewers.requests * times
        with self._bench.stage(f"continue watching: {len(requests)} to {server.name}", len(requests)) as advance:
            async with connections(server.port, CONNECTIONS) as made:
                before_s = server.cpu_s()
                await send_all(made, requests, advance)
                return (server.cpu_s() - before_s) / len(requests) * 1e6


def _line(whose: str, rounds: list[tuple[float, float]], goal: float | None) -> Line:
    ours, bare = (list(costs) for costs in zip(*rounds, strict=True))
    return at_most(f"continue watching, {ROWS - ROWS // 6} rows, {whose}", "CPU us", ours, bare, goal)


async def _fill(bench: Bench) -> None:
    pool = await connect_pool(bench.settings, size=1)
    try:
        with bench.stage(f"continue watching: {TITLES} titles into Postgres", TITLES) as advance:
            await catalogue.write(pool, catalogue.TITLES, catalogue.titles(TITLES), advance)
        await pool.execute("delete from catalog_windows where territory = $1", TERRITORY)
        await pool.execute(WINDOWS, catalogue.title_ids(TITLES), TERRITORY)
        await pool.execute("analyze catalog_titles, catalog_windows")
    finally:
        await pool.close()


@asynccontextmanager
async def _redis(bench: Bench) -> AsyncIterator[Redis]:
    client = connect(bench.settings)
    yield client
    await client.aclose()


async def _newcomers(bench: Bench, client: Redis) -> Viewers:
    viewers = Viewers(bench, client)
    await viewers.sit_down()
    return viewers


async def _replies(viewers: Viewers, server: Child) -> list[bytes]:
    async with connections(server.port, 1) as [connection]:
        return [await connection.exchange(request) for request in viewers.requests]


def _requests(tokens: Tokens, accounts: list[str]) -> list[bytes]:
    return [
        players.get(
            f"/v1/profiles/{each}/continue-watching",
            tokens.mint_access(Principal(subject=each, account_id=each, profile_id=each)),
        )
        for each in accounts
    ]


def _bookmarks(number: int, now: datetime) -> Iterator[Bookmark]:
    """The rows of a viewer, the one that they watch now first."""
    for place in range(ROWS):
        serial, episode = divmod(number * ROWS + place, catalogue.EPISODES - 1)
        yield _bookmark(_episode(serial % (TITLES // catalogue.EPISODES), episode), place, now - timedelta(hours=place))


def _bookmark(title: TitleSnapshot, place: int, at: datetime) -> Bookmark:
    state = STATES.get(place % 6, "in_progress")
    position_ms = (10 + place) * MINUTE_MS + at.microsecond // 1_000
    return Bookmark(
        title_id=title.title_id,
        kind=title.kind.value,
        name=title.name,
        series_id=title.series_id,
        series_name=title.series_name,
        season_number=title.season_number,
        episode_number=title.episode_number,
        position_ms=position_ms if state == "in_progress" else 0,
        duration_ms=title.duration_ms,
        updated_at=at,
        session_id=new_id(),
        session_started_at=at - timedelta(minutes=10),
        seq=60,
        state=state,
        next_title_id=None if state == "completed" else title.next_title_id,
        last_position_ms=position_ms,
        watched=(0, position_ms),
    )


def _episode(series: int, number: int) -> TitleSnapshot:
    """An episode of those that Postgres has, one of them before another."""
    return builders.episode(1 + number, series_id=f"bench-{series}")
