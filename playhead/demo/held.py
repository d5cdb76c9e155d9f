"""What the views hold of an evening: through the query API where it serves whole lists, else from the store itself.

What a profile watched is read by a sign-in that watches as it. Sessions and timelines are read from Postgres and
Cassandra: the API serves them one session at a time, and could not show a session that should not be there.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from infra.cassandra import Cassandra
from infra.postgres import Role, connect_pool
from infra.settings import Settings
from playhead.demo.api import PAGE_ROWS, Api
from playhead.demo.comparison import HistoryRow, SessionRow
from playhead.demo.people.signing import SignIn
from playhead.demo.watching.reference import Shown

READ_TOGETHER: Final = 32
SESSIONS: Final = """
    select session_id, event_count, last_seq, position_ms, watched_ms from playback_sessions where profile_id = any($1)
"""
TIMELINE: Final = "select seq, position_ms from session_timeline where session_id = ?"
TitleRow = tuple[str, int | None, int | None]


class Held:
    """Reads one evening's rows. `readers`: a sign-in of each profile, by its id."""

    def __init__(self, settings: Settings, query: Api, operator: SignIn, readers: Mapping[str, SignIn]) -> None:
        self._settings = settings
        self._query = query
        self._operator = operator
        self._readers = readers

    async def sessions(self) -> dict[str, SessionRow]:
        """From Postgres, by session."""
        pool = await connect_pool(self._settings, role=Role.PROJECTIONS, size=1)
        try:
            rows = await pool.fetch(SESSIONS, list(self._readers))
        finally:
            await pool.close()
        return {session_id: SessionRow(*facts) for session_id, *facts in rows}

    async def timeline(self, session_ids: Iterable[str]) -> dict[str, int]:
        """From Cassandra, the position of every entry by "session#seq"."""
        cassandra = await Cassandra.connect(self._settings)
        entries: dict[str, int] = {}
        try:
            statement = await cassandra.prepare(TIMELINE)
            for together in _groups(session_ids):
                found = await asyncio.gather(*(cassandra.execute(statement, [one]) for one in together))
                for session_id, rows in zip(together, found, strict=True):
                    said = (row for row in rows if row["position_ms"] is not None)  # how it was closed has none
                    entries |= {f"{session_id}#{row['seq']}": row["position_ms"] for row in said}
        finally:
            await cassandra.close()
        return entries

    async def history(self, profile_ids: Iterable[str]) -> dict[str, HistoryRow]:
        """From the query API, by session; a second row of a session is told apart."""
        held: dict[str, HistoryRow] = {}
        for profile_id in profile_ids:
            path = f"/v1/profiles/{profile_id}/watch-history"
            async for item in self._query.items(path, self._readers[profile_id]):
                key = item["session_id"]
                held[f"{key} again" if key in held else key] = HistoryRow(
                    item["title_id"], item["device_id"], item["position_ms"], item["completed"]
                )
        return held

    async def continue_watching(self, profile_ids: Iterable[str]) -> dict[str, Shown]:
        """From the query API, by "profile/shelf"."""
        held: dict[str, Shown] = {}
        for profile_id in profile_ids:
            for item in await self.continue_watching_items(profile_id):
                shelf = item["series_id"] or item["title_id"]
                held[f"{profile_id}/{shelf}"] = Shown(
                    item["title_id"], item["state"], item["position_ms"], item["next_title_id"]
                )
        return held

    async def continue_watching_items(self, profile_id: str) -> list[dict[str, Any]]:
        """A profile's rows as the API returns them, whether or not its account may play them still."""
        path = f"/v1/profiles/{profile_id}/continue-watching?limit={PAGE_ROWS}&include=unplayable"
        items: list[dict[str, Any]] = (await self._query.get(path, self._readers[profile_id])).taken(path, 200)["items"]
        return items

    async def history_items(self, profile_id: str) -> list[dict[str, Any]]:
        """A profile's newest sessions as the API returns them."""
        path = f"/v1/profiles/{profile_id}/watch-history?limit={PAGE_ROWS}"
        items: list[dict[str, Any]] = (await self._query.get(path, self._readers[profile_id])).taken(path, 200)["items"]
        return items

    async def titles(self, published: Mapping[str, object]) -> dict[str, TitleRow]:
        """From the query API, those that were published here, by id."""
        titles = self._query.items("/v1/catalog/titles", self._operator)
        return {
            item["title_id"]: (item["name"], item["duration_ms"], item["credits_start_ms"])
            async for item in titles
            if item["title_id"] in published
        }

    async def dead_letters(self, since: datetime) -> dict[str, str]:
        """From the query API, what projections set aside since then, by letter."""
        letters: dict[str, str] = {}
        async for item in self._query.items("/v1/dead-letters", self._operator):
            if datetime.fromisoformat(item["recorded_at"]) < since:
                break
            letters[item["letter_id"]] = f"{item['reason']}: {item['detail']}"
        return letters


def _groups(ids: Iterable[str]) -> Iterable[list[str]]:
    listed = list(ids)
    return (listed[begin : begin + READ_TOGETHER] for begin in range(0, len(listed), READ_TOGETHER))
