"""What the catalog says of titles that profiles are offered: from Postgres tables catalog_titles and catalog_windows,
kept until the views there have moved on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

import asyncpg

from infra.clock import monotonic_s
from infra.postgres import Pool
from infra.settings import Settings
from query_api.caching.places import PLACES, RETRIES
from query_api.catalog import TOPIC
from query_api.playback.playable import TitleFacts, Window
from query_api.stores import Store, StoreUnavailable

MOVED: Final = f"select md5(string_agg(place, ',' order by topic)) from ({PLACES}) as places where topic = any($1)"
"""Changes when the catalog's views apply something, a dead letter of theirs is retried, or a version is swapped in."""
FACTS: Final = """
    select t.title_id, t.name, t.season_number, t.episode_number, t.series_id, t.minimum_age,
        t.status = 'published' as is_published,
        array_agg(w.licence) filter (where w.licence is not null) as licences,
        array_agg(extract(epoch from w.opens_at)::float8) filter (where w.licence is not null) as open_s,
        array_agg(extract(epoch from w.closes_at)::float8) filter (where w.licence is not null) as close_s
    from catalog_titles as t left join catalog_windows as w on w.title_id = t.title_id and w.territory = $2
    where t.title_id = any($1)
    group by t.title_id
"""
FOLLOWING: Final = """
    select t.title_id, array(
        select next.title_id from catalog_titles as next
        where next.series_id = t.series_id and next.kind = 'episode' and next.status = 'published'
          and (next.season_number, next.episode_number) > (t.season_number, t.episode_number)
        order by next.season_number, next.episode_number limit $2
    ) as following
    from catalog_titles as t where t.title_id = any($1)
"""
NOWHERE: Final = ""


class TitlesKept:
    """The facts, by territory and title; of one that the catalog has not, None. Whether its views moved is asked at
    most once in settings.playable_titles_checked_s, by one for all who ask meanwhile; if so, all is read anew, and
    `version` is another.
    """

    def __init__(self, store: Store[Pool], settings: Settings, *, clock: Callable[[], float] = monotonic_s) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self.version = 0
        self._kept: dict[tuple[str, str], TitleFacts | None] = {}
        self._following: dict[str, tuple[str, ...]] = {}
        self._moved: str | None = None
        self._checked_at_s = float("-inf")
        self._failed_at_s = float("-inf")
        self._checking: asyncio.Task[None] | None = None

    async def of(self, title_ids: Collection[str], territory: str | None) -> Mapping[str, TitleFacts | None]:
        """The facts of titles. What is left out nobody can tell now, since Postgres does not answer."""
        if (all_of_them := self.known(title_ids, territory)) is not None:
            return all_of_them
        await self.look()
        where = territory or NOWHERE
        known = {title_id: self._kept[where, title_id] for title_id in title_ids if (where, title_id) in self._kept}
        unknown = [title_id for title_id in title_ids if title_id not in known]
        if unknown:
            await self._guarded(lambda pool: self._read(pool, unknown, where, known))
        return known

    def known(self, title_ids: Collection[str], territory: str | None) -> Mapping[str, TitleFacts | None] | None:
        """The facts of titles, if all of them are kept and somebody looked a moment ago."""
        if self._is_due:
            return None
        where = territory or NOWHERE
        try:
            return {title_id: self._kept[where, title_id] for title_id in title_ids}
        except KeyError:
            return None

    async def following(self, title_ids: Collection[str]) -> Mapping[str, tuple[str, ...]]:
        """The episodes of the same series that come after each of some, in order: the next of them, as many as
        settings.playable_next_looked_at says. What is left out nobody can tell now.
        """
        await self.look()
        known = {title_id: self._following[title_id] for title_id in title_ids if title_id in self._following}
        unknown = [title_id for title_id in title_ids if title_id not in known]
        if unknown:
            await self._guarded(lambda pool: self._read_following(pool, unknown, known))
        return known

    async def look(self) -> None:
        """See whether the views moved, unless that was seen a moment ago."""
        if self._is_due:
            await self._check()

    @property
    def _is_due(self) -> bool:
        return self._clock() - self._checked_at_s >= self._settings.playable_titles_checked_s

    def forget(self) -> None:
        """Ask at the next read whether the views moved: they are known to have."""
        self._checked_at_s = float("-inf")

    async def _check(self) -> None:
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._guarded(self._look))
        await asyncio.shield(self._checking)

    async def _look(self, pool: Pool) -> None:
        began_s = self._clock()
        moved = await pool.fetchval(MOVED, (TOPIC, RETRIES))
        if moved != self._moved:
            self._kept, self._following = {}, {}
            self.version += 1
        self._moved, self._checked_at_s = moved, began_s

    async def _read(self, pool: Pool, title_ids: list[str], where: str, into: dict[str, TitleFacts | None]) -> None:
        kept = self._kept  # another by the end, if the views moved meanwhile: then this is for this request alone
        found = {row["title_id"]: _facts(row) for row in await pool.fetch(FACTS, title_ids, where)}
        if len(kept) + len(title_ids) > self._settings.playable_titles_kept:
            kept.clear()
        for title_id in title_ids:
            into[title_id] = kept[where, title_id] = found.get(title_id)

    async def _read_following(self, pool: Pool, title_ids: list[str], into: dict[str, tuple[str, ...]]) -> None:
        kept = self._following
        rows = await pool.fetch(FOLLOWING, title_ids, self._settings.playable_next_looked_at)
        found = {row["title_id"]: tuple(row["following"]) for row in rows}
        if len(kept) + len(title_ids) > self._settings.playable_titles_kept:
            kept.clear()
        for title_id in title_ids:
            into[title_id] = kept[title_id] = found.get(title_id, ())

    async def _guarded(self, read: Callable[[Pool], Awaitable[None]]) -> None:
        """Run a read, if Postgres answers; when it does not, leave it alone for a while."""
        if self._clock() - self._failed_at_s < self._settings.playable_titles_retry_s:
            return
        try:
            async with asyncio.timeout(self._settings.playable_titles_timeout_s), self._store.use() as pool:
                await read(pool)
        except (StoreUnavailable, TimeoutError):
            self._failed_at_s = self._clock()


def _facts(row: asyncpg.Record) -> TitleFacts:
    windows = zip(row["licences"] or (), row["open_s"] or (), row["close_s"] or (), strict=True)
    return TitleFacts(
        name=row["name"],
        season_number=row["season_number"],
        episode_number=row["episode_number"],
        series_id=row["series_id"],
        minimum_age=row["minimum_age"],
        is_published=row["is_published"],
        windows=tuple(Window(*window) for window in windows),
    )
