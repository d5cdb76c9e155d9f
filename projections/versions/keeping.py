"""Who folds into which table: asked in every round under the lock of its checkpoints, so that a swap falls between two
rounds. The registry is read only when the checkpoints say that there was a swap since.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Protocol

from infra.postgres import Connection
from projections.errors import ProjectionError, StoreUnavailable
from projections.slabs import Partition
from projections.versions import registry
from projections.versions.groups import AnyView, grouped, projection_of
from projections.versions.registry import Elsewhere, Keeper, State, Version

Swaps = Mapping[Partition, int]

SEEN: Final = {True: "current_seen_at", False: "outdated_seen_at"}


class Superseded(ProjectionError):
    """A version is not a rebuild's to keep any more: it was retired, or the projection keeps it."""


class Keeping(Protocol):
    """What a store of views in Postgres asks."""

    @property
    def name(self) -> str:
        """The projection that it has checkpoints as."""

    @property
    def skipped(self) -> frozenset[str]:
        """Views that are not written: somebody else keeps them, or they are added up later."""

    @property
    def tables(self) -> Mapping[str, str]:
        """The tables of views that are not in the one of their name."""

    @property
    def missing(self) -> Mapping[str, str]:
        """What readiness shows."""

    async def open(self, connection: Connection) -> None:
        """Prepare."""

    async def agree(self, connection: Connection, swaps: Swaps) -> bool:
        """Be of the registry's mind, in a round that has locked these partitions; whether anything was read anew.
        Raises StoreUnavailable where nothing may be written.
        """

    async def say(self, connection: Connection) -> None:
        """Tell the registry that somebody with these folds is there."""


class KeptByProjection:
    """The live tables. A view that a rebuild keeps is left to it, whatever the folds; one that the projection keeps
    and that has another fold than this process stops it, since moving on would lose the view events.
    """

    name = "postgres"

    def __init__(self, views: Sequence[AnyView], elsewhere: Mapping[str, Elsewhere] | None = None) -> None:
        """`elsewhere`: the views of the other stores, which the registry is to know as well."""
        self._views = views
        self._elsewhere = elsewhere or {}
        self._folds = {view.name: view.version for view in views}
        self._groups = grouped(views)
        self._seen: dict[Partition, int] = {}
        self._held: str | None = None
        self.skipped: frozenset[str] = frozenset()
        self.tables: dict[str, str] = {}
        self.missing: dict[str, str] = {}

    async def open(self, connection: Connection) -> None:
        """Have every view in the registry."""
        await registry.register(connection, self._views)
        await registry.register_elsewhere(connection, self._elsewhere)
        self._compare(await self._ours(connection))

    async def agree(self, connection: Connection, swaps: Swaps) -> bool:
        """See Keeping."""
        fresh = any(self._seen.get(partition) != count for partition, count in swaps.items())
        if fresh or self._held:
            ours = await self._ours(connection)
            stops = {name: said for name, said in self._compare(ours).items() if ours[name].keeper is Keeper.PROJECTION}
            left = [version for version in ours.values() if version.keeper is Keeper.REBUILD]
            self.skipped = frozenset(view.name for version in left for view in self._groups[version.view].views)
            self._held = "; ".join(f"{name}: {said}" for name, said in stops.items()) or None
            self._seen.update(swaps)
        if self._held:
            raise StoreUnavailable(self._held)
        return fresh

    async def _ours(self, connection: Connection) -> dict[str, Version]:
        live = await registry.live_of_all(connection)
        return {name: version for name, version in live.items() if name in self._groups}

    def _compare(self, ours: Mapping[str, Version]) -> dict[str, str]:
        """What is to be said of each view whose live version has other folds; readiness says it from now on."""
        others = {name: one for name, one in ours.items() if not registry.agree(one.folds, self._folds)}
        outdated = {name: self._difference(version) for name, version in others.items()}
        self.missing = {f"view {name}": said for name, said in outdated.items()}
        return outdated

    def _difference(self, version: Version) -> str:
        live = {name: fold for name, fold in version.folds.items() if self._folds.get(name, fold) != fold}
        here = {name: self._folds[name] for name in live}
        told = "a rebuild keeps it meanwhile" if version.keeper is Keeper.REBUILD else "nothing is written until then"
        return f"its live version has the folds {live}, this process {here}: run the release that has them ({told})"

    async def say(self, connection: Connection) -> None:
        """See Keeping. What is written here does not change with it: that is for agree(), under the locks."""
        ours = await self._ours(connection)
        self._compare(ours)
        for version in ours.values():
            if version.keeper is Keeper.REBUILD:
                seen = SEEN[registry.agree(version.folds, self._folds)]
                await connection.execute(
                    f"update view_versions set {seen} = now() where view = $1 and version = $2",
                    version.view,
                    version.version,
                )


class KeptByRebuild:
    """The tables of one version, wherever they are at the moment. Raises Superseded where they are not a rebuild's.

    While it is being built its aggregates are passed over: versions/adding_up.py fills them, in a transaction that ends
    that state and counts as a swap, so that whoever builds it keeps them in step from the next round on.
    """

    missing: ClassVar[Mapping[str, str]] = {}

    def __init__(self, version: Version) -> None:
        self._version = version
        self._seen: dict[Partition, int] = {}
        self.name = projection_of(version.view, version.version)
        self.tables = version.tables
        self.skipped = _added_up_later(version)

    async def open(self, connection: Connection) -> None:
        """Trust nothing that was read before."""
        self._seen.clear()

    async def agree(self, connection: Connection, swaps: Swaps) -> bool:
        """See Keeping."""
        if all(self._seen.get(partition) == count for partition, count in swaps.items()):
            return False
        version = await registry.one(connection, self._version.view, self._version.version)
        check_kept(version)
        self.tables = version.tables
        self.skipped = _added_up_later(version)
        self._seen.update(swaps)
        return True

    async def say(self, connection: Connection) -> None:
        """See Keeping."""


def _added_up_later(version: Version) -> frozenset[str]:
    return frozenset(version.folds.keys() - {version.view} if version.state is State.BUILDING else ())


def check_kept(version: Version) -> None:
    """Raises Superseded unless a rebuild keeps this version."""
    if version.state is State.RETIRED or (version.state is State.LIVE and version.keeper is Keeper.PROJECTION):
        raise Superseded(f"version {version.version} of {version.view} is {version.state}, and no rebuild keeps it")
