"""Comparing a version with the live one, row by row, both at the same offsets of the same events.

The snapshot is taken while the projection is locked; what takes long, to compare, happens after it was let go.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from infra.clock import utc_now
from infra.postgres import Connection, Role, connect
from infra.settings import Settings
from projections.stores.tables import Table
from projections.sweeping import kept_since
from projections.versions import registry
from projections.versions.build import Build
from projections.versions.changes import NotReached, locked
from projections.versions.groups import AnyView
from projections.versions.registry import VersionRefused
from projections.views import AggregateView, ListView

CLOCKS_APART: Final = timedelta(hours=1)
"""How much less is compared than is kept: rows are removed by the clock of another process."""


class Difference(msgspec.Struct, frozen=True):
    """A row that is not the same. `columns`: that differ, with the live value and the other one."""

    key: str
    only_in: str | None
    columns: dict[str, tuple[Any, Any]]


class Compared(msgspec.Struct, frozen=True):
    """A table beside the live one. `digest`: of all rows, whatever their order."""

    view: str
    live_rows: int
    rows: int
    live_digest: str
    digest: str
    samples: list[Difference]

    @property
    def equal(self) -> bool:
        """Whether they hold the same rows."""
        return (self.live_rows, self.live_digest) == (self.rows, self.digest)


async def verify(build: Build, settings: Settings) -> list[Compared]:
    """Compare all tables of a version; the result is kept with it. Raises VersionRefused when it cannot catch up."""
    reading = await connect(settings)
    try:
        await reading.execute(f"set role {Role.PROJECTIONS}")
        await reading.execute(f"set statement_timeout = {int(settings.view_verify_timeout_s * 1000)}")
        await reading.execute("begin isolation level repeatable read read only")
        await _at_the_same_offsets(build, settings, reading)
        compared = [await _compare(reading, view, build, settings) for view in build.group.views]
    finally:
        reading.terminate()
    writing = await connect(settings)
    try:
        await registry.note(writing, build.version, verified=msgspec.json.encode(report(compared)).decode())
    finally:
        await writing.close()
    return compared


def report(compared: list[Compared], *, accepted: bool = False) -> dict[str, Any]:
    """What the registry keeps of it: no rows, which may be of people."""
    views = {
        each.view: {
            "live_rows": each.live_rows,
            "rows": each.rows,
            "equal": each.equal,
            "columns": sorted({column for one in each.samples for column in one.columns}),
        }
        for each in compared
    }
    equal = all(each.equal for each in compared)
    return {"at": utc_now().isoformat(), "equal": equal, "accepted": equal or accepted, "views": views}


async def _at_the_same_offsets(build: Build, settings: Settings, reading: Connection) -> None:
    for _ in range(settings.view_swap_max_tries):
        async for behind in build.steps():
            if behind <= settings.rebuild_ready_records:
                break
        try:
            async with locked(build, settings):
                await reading.fetchval("select count(*) from view_versions")  # what it sees from now on
                return
        except NotReached:
            continue
    raise VersionRefused(f"version {build.version.version} of {build.group.name} does not catch up with the live one")


async def _compare(reading: Connection, view: AnyView, build: Build, settings: Settings) -> Compared:
    columns = comparable(view)
    listed = ", ".join(f'"{column}"' for column in columns)
    now = utc_now()
    live, other = (kept_of(view, table, now) for table in (view.name, build.version.tables[view.name]))
    counts = [await digest_of(reading, table, listed) for table in (live, other)]
    (live_rows, live_digest), (rows, digest) = counts
    samples: list[Difference] = []
    if counts[0] != counts[1]:
        joined = _of_lists if isinstance(view, ListView) else _of_rows
        samples = await joined(reading, live, other, columns, settings.view_verify_samples)
    return Compared(view.name, live_rows, rows, live_digest, digest, samples)


def comparable(view: AnyView) -> list[str]:
    """The columns that a rebuild comes to exactly, the key first. The largest that ever was in an aggregate stays when
    it is taken back, and may have been a moment's: those columns are left out.
    """
    maxima = view.maxima if isinstance(view, AggregateView) else ()
    return [column for column in Table(view).stored if column not in maxima]


def kept_of(view: AnyView, table: str, now: datetime) -> str:
    """The rows of a table that are compared: of what is kept for a time only those that nobody's clock has removed."""
    if not isinstance(view, AggregateView) or view.kept_for is None:
        return table
    since = kept_since(view, now) + CLOCKS_APART
    return f"(select * from {table} where {view.passing} >= '{since.isoformat()}') as kept"


async def digest_of(reading: Connection, table: str, listed: str) -> tuple[int, str]:
    """How many rows there are, and what the listed columns of all of them come to, whatever their order."""
    row = await reading.fetchrow(
        f"select count(*) as rows, coalesce(sum(hashtextextended(row({listed})::text, 0)::numeric), 0)::text as digest "
        f"from {table}"
    )
    assert row is not None
    return row["rows"], row["digest"]


async def _of_rows(reading: Connection, live: str, other: str, columns: list[str], most: int) -> list[Difference]:
    listed, key = ", ".join(f'"{column}"' for column in columns), columns[0]
    rows = await reading.fetch(
        f"select coalesce(a.key, b.key) as key, a.whole as live, b.whole as other from "
        f'(select "{key}" as key, to_jsonb(it) as whole from (select {listed} from {live}) as it) as a full join '
        f'(select "{key}" as key, to_jsonb(it) as whole from (select {listed} from {other}) as it) as b using (key) '
        f"where a.whole is distinct from b.whole limit {most}"
    )
    return [_difference(row["key"], row["live"], row["other"]) for row in rows]


async def _of_lists(reading: Connection, live: str, other: str, columns: list[str], most: int) -> list[Difference]:
    """Items have no key of their own: each that is in one of the two only."""
    listed, key = ", ".join(f'"{column}"' for column in columns), columns[0]
    found = []
    for name, one, two in (("live", live, other), ("version", other, live)):
        rows = await reading.fetch(
            f'select "{key}" as key from (select {listed} from {one} except all select {listed} from {two}) as it '
            f"limit {most}"
        )
        found += [Difference(row["key"], name, {}) for row in rows]
    return found[:most]


def _difference(key: str, live: str | None, other: str | None) -> Difference:
    if live is None or other is None:
        return Difference(key, "version" if live is None else "live", {})
    one, two = (msgspec.json.decode(each, type=dict[str, Any]) for each in (live, other))
    return Difference(key, None, {name: (one[name], two[name]) for name in one if one[name] != two[name]})
