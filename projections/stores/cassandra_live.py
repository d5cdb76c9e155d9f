"""What Cassandra says of its views: which version of each is live, and who was seen that has its fold (ADR 21)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from infra.cassandra import Cassandra, Row
from infra.clock import monotonic_s
from infra.live_views import FIRST, Keeper, LiveView
from infra.settings import Settings
from projections.versions.following import Live

READ: Final = "select view_name, version, keeper, fold from live_view where projection = ?"
REGISTER: Final = (
    "insert into live_view (projection, view_name, version, keeper, fold) values (?, ?, ?, ?, ?) if not exists"
)
SAY: Final = (
    "insert into live_view_seen (projection, view_name, version, has_fold, seen_at) "
    "values (?, ?, ?, ?, toTimestamp(now()))"
)
FILLED: Final = "select partition from projection_checkpoint where projection = ? and topic = ? limit 1"


def parsed(rows: Sequence[Row]) -> Live:
    """What is live, from the rows of READ."""
    return {row["view_name"]: LiveView(row["version"], Keeper(row["keeper"]), row["fold"]) for row in rows}


class KnownLive:
    """What is live, as far as it was known at most settings.view_live_kept_s ago."""

    def __init__(self, cassandra: Cassandra, projection: str, settings: Settings) -> None:
        self._cassandra = cassandra
        self._projection = projection
        self._kept_s = settings.view_live_kept_s
        self._asked_at_s = float("-inf")
        self._live: Live = {}
        self._read: Any = None

    async def now(self) -> Live:
        """What is known."""
        asked_at_s = monotonic_s()
        if asked_at_s - self._asked_at_s >= self._kept_s:
            if self._read is None:
                self._read = await self._cassandra.prepare(READ)
            self._live = parsed(await self._cassandra.execute(self._read, (self._projection,)))
            self._asked_at_s = asked_at_s
        return self._live

    async def register(self, folds: Mapping[str, int], topics: set[str]) -> None:
        """Have the first version of each view live that no other is of. Where nothing was folded yet its rows are of
        the fold that is here; what was before there was a register is of the first.
        """
        live = await self.now()
        unknown = {view: fold for view, fold in folds.items() if view not in live}
        if not unknown:
            return
        register = await self._cassandra.prepare(REGISTER)
        is_filled = await self._is_filled(topics)
        for view, fold in unknown.items():
            values = (self._projection, view, FIRST, Keeper.PROJECTION.value, 1 if is_filled else fold)
            await self._cassandra.execute(register, values)
        self._asked_at_s = float("-inf")

    async def _is_filled(self, topics: set[str]) -> bool:
        filled = await self._cassandra.prepare(FILLED)
        for topic in sorted(topics):
            if await self._cassandra.execute(filled, (self._projection, topic)):
                return True
        return False

    async def say(self, live: Live, has_fold: Mapping[str, bool]) -> None:
        """Note of views that a rebuild keeps whether a worker is here that has their folds, or one that has others."""
        if has_fold:
            say = await self._cassandra.prepare(SAY)
            for view, is_ours in has_fold.items():
                await self._cassandra.execute(say, (self._projection, view, live[view].version, is_ours))
