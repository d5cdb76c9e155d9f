"""What `playhead views` does, and how it shows it: a bar where there is a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import asyncpg
import msgspec
from aiokafka.errors import KafkaError
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from infra.clock import monotonic_s
from infra.postgres import Pool, Role, connect_pool
from infra.settings import Settings
from playhead.console import out, say
from projections.app import cassandra_views, postgres_views, redis_views
from projections.errors import ProjectionError
from projections.versions import anywhere, registry
from projections.versions import looking as showing_rows
from projections.versions.build import Build
from projections.versions.groups import PROJECTION, Group, grouped
from projections.versions.registry import State, Stop, Version, VersionRefused
from projections.versions.telling import Progress
from projections.versions.verify import Compared, report
from projections.views import AggregateView

REFUSALS: Final = (ProjectionError, KafkaError, OSError, TimeoutError, asyncpg.PostgresError)
LINE_EVERY_S: Final = 5.0


def rebuildable(settings: Settings) -> list[str]:
    """The views that take events; what is added up of them is rebuilt with them."""
    return list(groups_of(settings))


def groups_of(settings: Settings) -> dict[str, Group]:
    """What is rebuilt together, of every store."""
    in_postgres, in_redis = grouped(postgres_views(settings)), grouped(redis_views(settings), "redis")
    return in_postgres | in_redis | grouped(cassandra_views(settings), "cassandra")


def group_of(settings: Settings, view: str) -> Group:
    """What is rebuilt with a view. Raises VersionRefused."""
    groups = groups_of(settings)
    if view in groups:
        return groups[view]
    for one in postgres_views(settings):
        if isinstance(one, AggregateView) and one.name == view:
            raise VersionRefused(f"{view} is added up of {one.source.name}, and rebuilt with it: name that one")
    raise VersionRefused(f"there is no view {view!r}; there are {', '.join(groups)}")


async def mirror(settings: Settings) -> None:
    """Have the registry say what is live in the stores that say so themselves, and answer."""
    for group in groups_of(settings).values():
        if group.store != PROJECTION:
            with suppress(ProjectionError):
                await anywhere.mirror(settings, group)


async def rows(settings: Settings, view: str | None) -> list[tuple[str, ...]]:
    """The registry, as text; of one view with what is retired."""
    await mirror(settings)
    pool = await connect_pool(settings, role=Role.QUERY, size=1)
    try:
        versions = await registry.read(pool, view)
    finally:
        await pool.close()
    return [_row(version) for version in versions if view is not None or version.state is not State.RETIRED]


def _row(version: Version) -> tuple[str, ...]:
    eta = "" if version.eta_s is None else f"{version.eta_s:.0f} s"
    verified = "" if not version.verified else ("equal" if version.verified["equal"] else "differs")
    as_of = f"as of {version.cut.asked}" if version.cut else ""
    says = version.last_error or version.waits or ("paused" if version.paused else as_of)
    records = f"{version.records_done}/{version.records_total}" if version.records_total else ""
    aside = str(version.records_set_aside or "")
    which = (version.view, version.store, str(version.version), version.state, version.keeper)
    return (*which, records, aside, eta, verified, says)


async def rebuild(settings: Settings, view: str, max_events_per_s: int | None, as_of: str | None = None) -> None:
    """Build a version until it is ready; as of a time or of positions, one that is to be looked at."""
    group = group_of(settings, view)
    cut = None if as_of is None else await stop_of(settings, group, as_of)
    version = await anywhere.begin(settings, group, max_events_per_s, cut)
    with showing() as show:
        async with Build(group, version, settings, show) as build:
            try:
                await build.run()
            except ProjectionError as error:
                await _note_error(settings, version, error)
                raise
    if cut is not None:
        say(f"{view}: version {version.version} is as of {cut.asked}; next: playhead views show {view} --key ...")
        return
    say(f"{view}: version {version.version} is ready; next: playhead views verify {view}, playhead views swap {view}")


async def stop_of(settings: Settings, group: Group, as_of: str) -> Stop:
    """Where a version of a group ends as of a time (ISO 8601, with its offset from UTC) or of positions
    (topic:partition:position, separated by commas). Raises VersionRefused."""
    from audits.as_of.asking import CutRefused, cut_of  # noqa: PLC0415 - pyarrow comes with it
    from audits.as_of.cutting import ends_of  # noqa: PLC0415
    from audits.sources import SourceAway, opened  # noqa: PLC0415
    from infra.archive.errors import ArchiveDamaged  # noqa: PLC0415

    try:
        cut = cut_of(as_of)
        async with opened(settings) as sources:
            ends = await ends_of(sources, group.topics, at=cut.known_at, positions=cut.positions)
    except (CutRefused, SourceAway, ArchiveDamaged) as error:
        raise VersionRefused(str(error)) from error
    return Stop(as_of, {f"{each.topic}:{each.partition}": end for each, end in ends.items()})


async def show(
    settings: Settings, view: str, number: int | None, key: Sequence[str], most: int
) -> list[dict[str, Any]]:
    """Rows of a version, by its key."""
    from audits.as_of.keys import KeyRefused, parsed  # noqa: PLC0415

    group, versions = group_of_any(settings, view), await _versions(settings, group_of_any(settings, view).name)
    shown = [one for one in versions if one.version == number or (number is None and one.cut is not None)]
    shown = [one for one in shown if one.state is not State.RETIRED]
    if not shown:
        named = f"no version {number}" if number else "no inspection: playhead views rebuild VIEW --as-of makes one"
        raise VersionRefused(f"{view} has {named}")
    one = next(each for each in group.views if each.name == view)
    try:
        wanted = parsed(one, key) if key else {}
    except KeyRefused as error:
        raise VersionRefused(str(error)) from error
    return await showing_rows.rows_of(settings, group, shown[-1], one, wanted, most)


def group_of_any(settings: Settings, view: str) -> Group:
    """The group that a view is in, as itself or added up of another. Raises VersionRefused."""
    for group in groups_of(settings).values():
        if view in group.folds:
            return group
    return group_of(settings, view)


async def _note_error(settings: Settings, version: Version, error: Exception) -> None:
    pool = await connect_pool(settings, role=Role.PROJECTIONS, size=1)
    try:
        await registry.note(pool, version, last_error=str(error))
    finally:
        await pool.close()


async def set_paused(settings: Settings, view: str, *, paused: bool) -> None:
    """Pause or resume what is being built of a view."""
    pool = await connect_pool(settings, role=Role.PROJECTIONS, size=1)
    try:
        over = (State.LIVE, State.RETIRED, State.INSPECTION)
        building = [one for one in await registry.read(pool, view) if one.state not in over]
        if not building:
            raise VersionRefused(f"nothing is being built of {view}")
        await registry.note(pool, building[-1], paused=paused)
    finally:
        await pool.close()
    say(f"{view}: version {building[-1].version} is {'paused' if paused else 'resumed'}")


async def verify(settings: Settings, view: str, number: int | None, *, accept: bool) -> bool:
    """Compare a version with the live one, and show it; whether it may be swapped in."""
    group = group_of(settings, view)
    version = await _chosen(settings, view, number)
    async with Build(group, version, settings) as build:
        compared = await anywhere.verify(build, settings)
    for each in compared:
        _show_compared(each)
    equal = all(each.equal for each in compared)
    if not equal and accept:
        pool = await connect_pool(settings, role=Role.PROJECTIONS, size=1)
        try:
            accepted = msgspec.json.encode(report(compared, accepted=True)).decode()
            await registry.note(pool, version, verified=accepted)
        finally:
            await pool.close()
    return equal or accept


def _show_compared(compared: Compared) -> None:
    what = "the same" if compared.equal else "different"
    say(f"{compared.view}: {compared.live_rows} rows live, {compared.rows} in the version: {what}")
    for one in compared.samples:
        if one.only_in:
            say(f"  {one.key}: only in the {one.only_in}")
        for column, (live, other) in one.columns.items():
            say(f"  {one.key}: {column}: {live!r} live, {other!r} in the version")


async def swap(settings: Settings, view: str, number: int | None, *, force: bool) -> None:
    """Have a version live, once it is verified."""
    version = await _chosen(settings, view, number)
    accepted = version.verified is not None and version.verified["accepted"]
    if not force and not accepted and not await verify(settings, view, version.version, accept=False):
        raise VersionRefused(
            f"version {version.version} of {view} differs from the live one: if that is what its fold is for, "
            f"`playhead views verify {view} --accept`, or --force"
        )
    await _put_in(settings, view, version)


async def rollback(settings: Settings, view: str) -> None:
    """Have the version live that was live before."""
    kept = [
        version for version in await _versions(settings, view) if version.state is State.READY and version.swapped_at
    ]
    before = max(kept, key=lambda version: version.swapped_at or version.created_at, default=None)
    if before is None:
        raise VersionRefused(f"{view} has no version that was live before and is kept")
    await _put_in(settings, view, before)


async def _put_in(settings: Settings, view: str, version: Version) -> None:
    async with Build(group_of(settings, view), version, settings) as build:
        live = await anywhere.swap(build, settings)
        say(f"{view}: version {live.version} is live")
        if live.keeper is registry.Keeper.REBUILD:
            say(f"{view}: kept here until workers run that have its folds {live.folds}, and none that have others")
            await anywhere.follow(build, settings, say)


async def follow(settings: Settings, view: str) -> None:
    """Keep what a rebuild is to keep: the live version if that is one, else the newest."""
    versions = await _versions(settings, view)
    kept = [one for one in versions if one.state is State.LIVE and one.keeper is registry.Keeper.REBUILD]
    version = kept[0] if kept else await _chosen(settings, view, None)
    with showing() as show:
        async with Build(group_of(settings, view), version, settings, show) as build:
            await anywhere.follow(build, settings, say)


async def retire(settings: Settings, view: str, number: int | None) -> None:
    """Drop a version."""
    version = await _chosen(settings, view, number)
    await anywhere.retire(settings, group_of(settings, view), version)
    say(f"{view}: version {version.version} is retired, its rows are gone")


async def _versions(settings: Settings, view: str) -> list[Version]:
    if (group := groups_of(settings).get(view)) is not None:
        await anywhere.mirror(settings, group)  # whoever was killed in a change may not have come to tell the registry
    pool: Pool = await connect_pool(settings, role=Role.QUERY, size=1)
    try:
        return await registry.read(pool, view)
    finally:
        await pool.close()


async def _chosen(settings: Settings, view: str, number: int | None) -> Version:
    """The version of this number, or the newest that is neither live nor gone, nor as of a cut. Raises
    VersionRefused."""
    found = [
        version
        for version in await _versions(settings, view)
        if (
            version.version == number
            if number
            else version.state not in (State.LIVE, State.RETIRED) and version.cut is None
        )
    ]
    if not found:
        raise VersionRefused(f"{view} has no {f'version {number}' if number else 'version beside the live one'}")
    return found[-1]


@contextmanager
def showing() -> Iterator[Callable[[Progress], None]]:
    """Shows progress."""
    if not out.is_terminal:
        yield _in_lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, TextColumn("{task.fields[pace]}"), console=out) as bar:
        task = bar.add_task("", total=None, pace="")

        def show(now: Progress) -> None:
            bar.update(task, description=_title(now), completed=now.done, total=now.total, pace=_pace(now))

        yield show


def _in_lines() -> Callable[[Progress], None]:
    said_at_s = float("-inf")

    def show(now: Progress) -> None:
        nonlocal said_at_s
        if monotonic_s() - said_at_s >= LINE_EVERY_S:
            said_at_s = monotonic_s()
            say(f"{_title(now)}: {now.done} of {now.total} records, {_pace(now)}")

    return show


def _title(now: Progress) -> str:
    return f"{now.view} {now.version} {now.state.replace('_', ' ')}"


def _pace(now: Progress) -> str:
    if now.waits:
        return f"waits: {now.waits}"
    left_s = (now.total - now.done) / now.records_per_s if now.records_per_s else 0
    return f"{now.records_per_s:,.0f}/s, {left_s:.0f} s left"
