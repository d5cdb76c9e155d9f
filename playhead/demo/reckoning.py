"""The reckoning after the evening: every store has caught up, and every view holds what was acknowledged."""

import asyncio
from datetime import datetime
from typing import Final

from playhead.demo.api import Api, Bearer, NotTaken
from playhead.demo.comparison import (
    Compared,
    compared,
    expected_continue_watching,
    expected_history,
    expected_sessions,
    expected_timeline,
)
from playhead.demo.held import Held, TitleRow
from playhead.demo.ledger import Ledger
from playhead.demo.publishing import Catalog
from playhead.demo.watching.reference import Rules

CATCH_UP_WITHIN_S: Final = 60.0
QUERY: Final = "query API"
NOTHING: Final[dict[str, str]] = {}


class Reckoning:
    """Holds a ledger against the views."""

    def __init__(self, ledger: Ledger, catalog: Catalog, held: Held, rules: Rules) -> None:
        self._ledger = ledger
        self._catalog = catalog
        self._held = held
        self._rules = rules

    async def wait_for_stores(self, query: Api, operator: Bearer) -> list[str]:
        """Wait until each store has applied all that was acknowledged; those that had not in time, with the reason."""
        if not self._ledger.sessions:
            return []
        session = next(iter(self._ledger.sessions.values()))
        paths = {
            "Postgres": f"/v1/playback/sessions/{session.session_id}",
            "Cassandra": f"/v1/profiles/{session.profile_id}/watch-history?limit=1",
            "Redis": f"/v1/profiles/{session.profile_id}/continue-watching?limit=1",
        }
        positions = list(self._ledger.positions.values())
        reached = [query.reached(path, operator, positions) for path in paths.values()]
        outcomes = await asyncio.gather(*reached, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, NotTaken):
                raise outcome
        return [f"{store} has not caught up: {late}" for store, late in zip(paths, outcomes, strict=True) if late]

    async def compare(self, began_at: datetime) -> list[Compared]:
        """Every view held against what it should hold; `began_at`: since when dead letters count."""
        return [
            await self._sessions(),
            await self._timeline(),
            await self._history(),
            await self._continue_watching(),
            await self._titles(),
            await self._dead_letters(began_at),
        ]

    async def _sessions(self) -> Compared:
        """Counted in events, which the rows count."""
        expected, held = expected_sessions(self._ledger), await self._held.sessions()
        rows = compared("playback_sessions", expected, held, unit="events in sessions", read_from="Postgres")
        return Compared(
            rows.view,
            rows.unit,
            rows.read_from,
            sum(row.event_count for row in expected.values()),
            sum(row.event_count for row in held.values()),
            rows.differences,
        )

    async def _timeline(self) -> Compared:
        held = await self._held.timeline(self._ledger.sessions)
        expected = expected_timeline(self._ledger)
        return compared("session_timeline", expected, held, unit="events", read_from="Cassandra")

    async def _history(self) -> Compared:
        held = await self._held.history(self._ledger.profiles())
        expected = expected_history(self._ledger, self._rules)
        return compared("watch_history", expected, held, unit="sessions", read_from=QUERY)

    async def _continue_watching(self) -> Compared:
        held = await self._held.continue_watching(self._ledger.profiles())
        expected = expected_continue_watching(self._ledger, self._rules)
        return compared("continue_watching", expected, held, unit="rows, by R1-R6, R9", read_from=QUERY)

    async def _titles(self) -> Compared:
        published = self._catalog.published
        expected: dict[str, TitleRow] = {
            title_id: (body["name"], body.get("duration_ms"), body.get("credits_start_ms"))
            for title_id, body in published.items()
        }
        held = await self._held.titles(published)
        return compared("catalog_titles", expected, held, unit="titles", read_from=QUERY)

    async def _dead_letters(self, began_at: datetime) -> Compared:
        held = await self._held.dead_letters(began_at)
        return compared("dead_letters", NOTHING, held, unit="letters", read_from=QUERY)
