"""Verifies views against a replay: a version is built beside the live one from archive and Kafka, both are compared at
the same offsets, row by row, and the version is dropped (projections/versions). Exact, and as costly as a rebuild.
"""

from collections.abc import Mapping, Sequence

from audits.verifying.findings import Finding, Kind, Store
from audits.verifying.tasks import Update
from infra.postgres import Role, connect_pool
from infra.settings import Settings
from projections.versions import anywhere, registry
from projections.versions.build import Build
from projections.versions.groups import Group
from projections.versions.registry import State, VersionRefused
from projections.versions.verify import Compared


async def check(settings: Settings, group: Group, task: str) -> Update:
    """What a view holds that its events do not say. Raises VersionRefused, and what a rebuild raises."""
    await _check_alone(settings, group)
    version = await anywhere.begin(settings, group)
    try:
        async with Build(group, version, settings) as build:
            await build.run()
            compared = await anywhere.verify(build, settings)
    finally:
        await anywhere.retire(settings, group, version)
    rows = sum(each.rows for each in compared)
    return Update(task=task, done=rows, findings=findings_of(compared), ended=True)


def findings_of(compared: Sequence[Compared]) -> list[Finding]:
    """What differs, by the rows that are shown of it."""
    found = list[Finding]()
    for table in compared:
        if table.equal:
            continue
        shown = [
            Finding(
                kind=_KINDS[one.only_in is None, one.only_in == "version"],
                store=Store.VIEWS,
                what=f"row {one.key} of {table.view}" + "".join(f", column {column}" for column in one.columns),
                expected=_values(one.columns, 1),
                found=_values(one.columns, 0),
            )
            for one in table.samples
        ]
        counts = Finding(
            kind=Kind.FLIPPED,
            store=Store.VIEWS,
            what=f"rows of {table.view}",
            expected=f"{table.rows} rows, digest {table.digest}",
            found=f"{table.live_rows} rows, digest {table.live_digest}",
        )
        found += [counts, *shown]
    return found


_KINDS = {(True, False): Kind.FLIPPED, (False, True): Kind.REMOVED, (False, False): Kind.INSERTED}


def _values(columns: Mapping[str, tuple[object, object]], which: int) -> str | None:
    return repr({name: values[which] for name, values in columns.items()}) if columns else None


async def _check_alone(settings: Settings, group: Group) -> None:
    """That nobody is building a version of it: that one would be taken for ours."""
    pool = await connect_pool(settings, role=Role.PROJECTIONS, size=1)
    try:
        versions = await registry.read(pool, group.name)
    finally:
        await pool.close()
    if any(each.state not in (State.LIVE, State.RETIRED, State.INSPECTION) for each in versions):
        raise VersionRefused(f"a version of {group.name} is there already: `playhead views verify {group.name}`")
