"""The registry: what is known of every version of every view. Table view_versions; states change by STEPS alone."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

import asyncpg
import msgspec

from infra import live_views
from infra.live_views import LiveView
from infra.postgres import Connection
from projections.errors import ProjectionError
from projections.slabs import Partition
from projections.versions.groups import AnyView, Group, grouped, table_of

Database: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.Pool[asyncpg.Record]"


class State(StrEnum):
    """Where a version is: built from the beginning, then from what came meanwhile; ready to be live; live; gone. Or
    built up to a cut, and there to be looked at: that can never be live, nor is it kept up to date (ADR 30).
    """

    BUILDING = "building"
    CATCHING_UP = "catching_up"
    READY = "ready"
    LIVE = "live"
    INSPECTING = "inspecting"
    INSPECTION = "inspection"
    RETIRED = "retired"


class Keeper(StrEnum):
    """Who folds new events into a version: the projection's workers, or a process of `playhead views`."""

    PROJECTION = "projection"
    REBUILD = "rebuild"


STEPS: Final[Mapping[State, frozenset[State]]] = {
    State.BUILDING: frozenset({State.CATCHING_UP, State.RETIRED}),
    State.CATCHING_UP: frozenset({State.READY, State.RETIRED}),
    State.READY: frozenset({State.LIVE, State.RETIRED}),
    State.LIVE: frozenset({State.READY}),
    State.INSPECTING: frozenset({State.INSPECTION, State.RETIRED}),
    State.INSPECTION: frozenset({State.RETIRED}),
    State.RETIRED: frozenset(),
}


class Stop(msgspec.Struct, frozen=True):
    """Where a version ends that is built as of a cut. `asked`: the time, or the positions. `ends`: by
    `topic:partition`, the offset after the last that counts; of a partition that is not in it nothing does.
    """

    asked: str
    ends: dict[str, int]

    def of(self, partition: Partition) -> int:
        """The offset after the last that counts."""
        return self.ends.get(f"{partition.topic}:{partition.partition}", 0)


class Elsewhere(NamedTuple):
    """Where a view is that is not in Postgres, and of which version its fold is here."""

    store: str
    fold: int


class VersionRefused(ProjectionError):
    """What was asked of a version cannot be done; the message says why, and what can."""


class Version(msgspec.Struct, frozen=True):
    """A row of the registry. Without a table of its own once it is retired."""

    view: str
    version: int
    store: str
    state: State
    table_name: str
    folds: dict[str, int]
    keeper: Keeper
    created_at: datetime
    started_at: datetime | None
    ready_at: datetime | None
    swapped_at: datetime | None
    retired_at: datetime | None
    worked_at: datetime | None
    records_done: int
    records_total: int
    records_set_aside: int
    records_per_s: float | None
    paused: bool
    max_events_per_s: int | None
    waits: str | None
    verified: dict[str, Any] | None
    last_error: str | None
    current_seen_at: datetime | None
    outdated_seen_at: datetime | None
    cut: Stop | None

    @property
    def eta_s(self) -> float | None:
        """Seconds until it is built, at its present pace."""
        if not self.records_per_s or self.state not in (State.BUILDING, State.CATCHING_UP, State.INSPECTING):
            return None
        return max(self.records_total - self.records_done, 0) / self.records_per_s

    @property
    def tables(self) -> dict[str, str]:
        """By view of its group, the table in Postgres that its rows are in."""
        live = self.state is State.LIVE
        return {view: view if live else table_of(view, self.version) for view in self.folds}


FIELDS: Final = ", ".join(Version.__struct_fields__)
READ: Final = f"select {FIELDS} from view_versions where ($1::text is null or view = $1) order by view, version"
LIVE: Final = f"select {FIELDS} from view_versions where state = 'live'"
ONE: Final = f"select {FIELDS} from view_versions where view = $1 and version = $2"
INSERT: Final = f"""
    insert into view_versions
        (view, version, state, table_name, folds, keeper, started_at, max_events_per_s, store, cut)
    values ($1, $2, $3, $4, $5, 'rebuild', now(), $6, $7, $8) returning {FIELDS}
"""
REGISTER: Final = """
    insert into view_versions (view, version, state, table_name, folds, keeper, swapped_at)
    values ($1, 1, 'live', $1, $2, 'projection', now()) on conflict do nothing
"""
MIRROR: Final = """
    insert into view_versions as held (view, version, store, state, table_name, folds, keeper, swapped_at)
    values ($1, $2, $3, 'live', $1, $4, $5, now())
    on conflict (view, version) do update set state = 'live', keeper = excluded.keeper, folds = excluded.folds,
        swapped_at = case when held.state = 'live' then held.swapped_at else now() end
"""
MOVE: Final = """
    update view_versions set state = $3,
        ready_at = case when $3 = 'ready' and ready_at is null then now() else ready_at end,
        swapped_at = case when $3 = 'live' then now() else swapped_at end,
        retired_at = case when $3 = 'retired' then now() else retired_at end
    where view = $1 and version = $2 and state = any($4::text[])
"""


def _version(row: asyncpg.Record) -> Version:
    values = dict(row.items())
    for name in ("folds", "verified", "cut"):
        values[name] = None if values[name] is None else msgspec.json.decode(values[name])
    return msgspec.convert(values, Version)


async def read(connection: Database, view: str | None = None) -> list[Version]:
    """Every version, or every one of a view."""
    return [_version(row) for row in await connection.fetch(READ, view)]


async def live_of_all(connection: Database) -> dict[str, Version]:
    """The live version of every view that has one."""
    return {row["view"]: _version(row) for row in await connection.fetch(LIVE)}


async def one(connection: Database, view: str, version: int) -> Version:
    """A version. Raises VersionRefused."""
    row = await connection.fetchrow(ONE, view, version)
    if row is None:
        raise VersionRefused(f"{view} has no version {version}")
    return _version(row)


async def live_of(connection: Database, view: str) -> Version:
    """The live version of a view. Raises VersionRefused."""
    for version in await read(connection, view):
        if version.state is State.LIVE:
            return version
    raise VersionRefused(f"{view} has no live version: is there a view of this name, and did its projection ever run?")


async def begun(connection: Connection, group: Group, pace: int | None, cut: Stop | None) -> Version | None:
    """The version of this group that is being built already, as of this cut or of none; with this pace, if it is not
    None."""
    states = (State.BUILDING, State.CATCHING_UP) if cut is None else (State.INSPECTING,)
    for version in await read(connection, group.name):
        if version.state in states and version.cut == cut:
            if pace is not None:
                await note(connection, version, max_events_per_s=pace)
            return version
    return None


async def add(connection: Connection, group: Group, max_events_per_s: int | None, cut: Stop | None = None) -> Version:
    """A new version, being built; up to a cut, if there is one."""
    number = 1 + max([version.version for version in await read(connection, group.name)], default=1)
    folds = msgspec.json.encode(group.folds).decode()
    state, stop = (State.BUILDING, None) if cut is None else (State.INSPECTING, msgspec.json.encode(cut).decode())
    table = table_of(group.name, number)
    row = await connection.fetchrow(
        INSERT, group.name, number, state.value, table, folds, max_events_per_s, group.store, stop
    )
    assert row is not None
    return _version(row)


async def move(connection: Database, version: Version, to: State) -> None:
    """Change a version's state. Raises VersionRefused where there is no such step from the one that it is in."""
    legal = [state.value for state, steps in STEPS.items() if to in steps]
    if await connection.execute(MOVE, version.view, version.version, to.value, legal) != "UPDATE 1":
        now = await one(connection, version.view, version.version)
        raise VersionRefused(f"version {version.version} of {version.view} is {now.state} and cannot become {to}")


async def note(connection: Database, version: Version, **values: object) -> None:
    """Write columns of a version."""
    names = ", ".join(f"{name} = ${place}" for place, name in enumerate(values, start=3))
    await connection.execute(
        f"update view_versions set {names} where view = $1 and version = $2",
        version.view,
        version.version,
        *values.values(),
    )


async def register(connection: Connection, views: Sequence[AnyView]) -> None:
    """Give every view that is not in the registry its first version. A table without rows is of any fold; what is in
    one that was filled before there was a registry is of the first.
    """
    known = {row["view"] for row in await connection.fetch("select distinct view from view_versions")}
    for name, group in grouped(views).items():
        if name not in known:
            filled = await connection.fetchval(f"select exists (select from {name})")
            folds = dict.fromkeys(group.folds, 1) if filled else group.folds
            await connection.execute(REGISTER, name, msgspec.json.encode(folds).decode())


async def register_elsewhere(connection: Connection, views: Mapping[str, Elsewhere]) -> None:
    """Give every view of the other stores that is not in the registry a row, until it is known what is live there."""
    known = {row["view"] for row in await connection.fetch("select distinct view from view_versions")}
    for name, (store, fold) in views.items():
        if name not in known:
            await mirror(connection, store, name, LiveView(live_views.FIRST, live_views.Keeper.PROJECTION, fold))


async def mirror(connection: Connection, store: str, view: str, live: LiveView) -> None:
    """Have the registry say which version is live, as its store does; there is no other that is."""
    keeper = Keeper.PROJECTION if live.keeper is live_views.Keeper.PROJECTION else Keeper.REBUILD
    folds = msgspec.json.encode({view: live.fold}).decode()
    await connection.execute(MIRROR, view, live.version, store, folds, keeper.value)


def agree(held: Mapping[str, int], ours: Mapping[str, int]) -> bool:
    """Whether folds are the same, of the views that both know."""
    return all(ours[view] == fold for view, fold in held.items() if view in ours)
