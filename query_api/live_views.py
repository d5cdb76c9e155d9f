"""Which versions of views this process reads: asked of the store that they are in at most once in
settings.view_live_kept_s, so that what is read is of the live version, or of one that was live so long ago at most
(ADR 21).
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from infra.clock import monotonic_s
from infra.live_views import Keeper, LiveView, projection_of

LIVE: Final = "select view_name, version, keeper, fold from live_view where projection = 'cassandra'"
TABLE: Final = re.compile(r"(?<=\bfrom )\w+")


def in_live(cql: str, renamed: Mapping[str, str]) -> str:
    """A statement, with the tables of the live versions."""
    return TABLE.sub(lambda table: renamed.get(table[0], table[0]), cql) if renamed else cql


class LiveNames:
    """What is known of one store. `name_of`: under which name a version of a view is there. While every view has its
    first version live, naming costs nothing.
    """

    def __init__(
        self,
        store: str,
        name_of: Callable[[str, int], str],
        kept_s: float,
        *,
        clock: Callable[[], float] = monotonic_s,
    ) -> None:
        self._store = store
        self._name_of = name_of
        self._kept_s = kept_s
        self._clock = clock
        self._learnt_at_s = float("-inf")
        self._live: Mapping[str, LiveView] = {}
        self.renamed: dict[str, str] = {}
        """By view, of those whose first version is not live."""

    @property
    def is_due(self) -> bool:
        """Whether it is to be asked again with the next read."""
        return self._clock() - self._learnt_at_s >= self._kept_s

    def learn(self, live: Mapping[str, LiveView], asked_at_s: float) -> None:
        """Take what the store said when it was asked. What was read by names that are others now is read again."""
        self._learnt_at_s, self._live = asked_at_s, live
        names = {view: self._name_of(view, one.version) for view, one in live.items()}
        self.renamed = {view: name for view, name in names.items() if name != view}

    def kept_elsewhere(self) -> list[str]:
        """The projections of the rebuilds that keep live versions now, alone or beside the workers."""
        return [
            projection_of(self._store, view, one.version)
            for view, one in self._live.items()
            if one.keeper is not Keeper.PROJECTION
        ]
