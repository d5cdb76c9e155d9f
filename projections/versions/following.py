"""Who folds into which version of a view, in a store that says itself which one is live: Redis and Cassandra. Asked
with what the store says, in every round and before anything is written (ADR 21).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from infra.live_views import FIRST, Keeper, LiveView, projection_of
from projections.errors import StoreUnavailable
from projections.versions.keeping import Superseded
from projections.views import View

Live = Mapping[str, LiveView]
"""By view."""


class Following(Protocol):
    """What such a store asks."""

    @property
    def name(self) -> str:
        """The projection that it has checkpoints as."""

    @property
    def missing(self) -> Mapping[str, str]:
        """What readiness shows."""

    @property
    def folds(self) -> Mapping[str, int]:
        """By view, of those that begin to be live as soon as this process runs."""

    def look(self, live: Live) -> Mapping[str, bool]:
        """See what is live, without changing what is written. The views that a rebuild keeps, and whether this process
        has their folds.
        """

    def agree(self, live: Live) -> None:
        """Be of the store's mind, at the beginning of a round. Raises StoreUnavailable where nothing may be written."""

    def version(self, view: str) -> int:
        """The version of a view that is written."""

    def skips(self, view: str) -> bool:
        """Whether somebody else keeps a view."""


class FollowsLive:
    """The projection: the live versions. A view that a rebuild keeps is left to it, whatever the fold; one that the
    projection keeps and that has another fold than this process stops it, since moving on would lose the view events.
    """

    def __init__(self, name: str, views: Sequence[View[Any]]) -> None:
        self.name = name
        self.folds = {view.name: view.version for view in views}
        self._live: Live = {}
        self.missing: dict[str, str] = {}

    def look(self, live: Live) -> dict[str, bool]:
        """See Following."""
        ours = {view: one for view, one in live.items() if view in self.folds}
        others = {view: one for view, one in ours.items() if one.fold != self.folds[view]}
        self.missing = {f"view {view}": self._difference(view, one) for view, one in others.items()}
        return {view: view not in others for view, one in ours.items() if one.keeper is Keeper.REBUILD}

    def agree(self, live: Live) -> None:
        """See Following."""
        self.look(live)
        self._live = live
        stops = [
            self.missing[f"view {view}"]
            for view, one in live.items()
            if self.folds.get(view, one.fold) != one.fold and one.keeper is not Keeper.REBUILD
        ]
        if stops:
            raise StoreUnavailable("; ".join(stops))

    def version(self, view: str) -> int:
        """See Following."""
        return self._live[view].version if view in self._live else FIRST

    def skips(self, view: str) -> bool:
        """See Following."""
        return view in self._live and self._live[view].keeper is Keeper.REBUILD

    def _difference(self, view: str, live: LiveView) -> str:
        told = "a rebuild keeps it meanwhile" if live.keeper is Keeper.REBUILD else "nothing is written until then"
        return (
            f"its live version of {view} has the fold {live.fold}, this process {self.folds[view]}: "
            f"run the release that has it ({told})"
        )


class FollowsVersion:
    """A rebuild: one version, live or not. Raises Superseded where it is live and the projection's."""

    missing: ClassVar[Mapping[str, str]] = {}
    folds: ClassVar[Mapping[str, int]] = {}

    def __init__(self, store: str, view: str, version: int) -> None:
        self.name = projection_of(store, view, version)
        self._view = view
        self._version = version

    def look(self, live: Live) -> dict[str, bool]:
        """See Following."""
        return {}

    def agree(self, live: Live) -> None:
        """See Following."""
        now = live.get(self._view)
        if now is not None and now.version == self._version and now.keeper is Keeper.PROJECTION:
            raise Superseded(f"version {self._version} of {self._view} is live, and no rebuild keeps it")

    def version(self, view: str) -> int:
        """See Following."""
        return self._version

    def skips(self, view: str) -> bool:
        """See Following."""
        return False
