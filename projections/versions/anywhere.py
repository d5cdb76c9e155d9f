"""The changes of versions, for a view in whatever store: what the command line and whoever acts for operators call."""

from collections.abc import Callable

from infra.settings import Settings
from projections.versions import changes, comparing, recorded
from projections.versions import verify as by_snapshot
from projections.versions.build import Build
from projections.versions.groups import PROJECTION, Group
from projections.versions.in_cassandra import CassandraHome
from projections.versions.in_redis import RedisHome
from projections.versions.recorded import Home
from projections.versions.registry import Stop, Version, VersionRefused
from projections.versions.verify import Compared


def home_of(settings: Settings, store: str) -> Home:
    """Where the versions of a store's views are, for all but Postgres."""
    return RedisHome(settings) if store == "redis" else CassandraHome(settings)


async def begin(
    settings: Settings, group: Group, max_events_per_s: int | None = None, cut: Stop | None = None
) -> Version:
    """A new version, or the one that is being built. `cut`: where it stops, of one that is to be looked at and never to
    be live. Raises VersionRefused."""
    if group.store == PROJECTION:
        return await changes.begin(settings, group, max_events_per_s, cut)
    async with home_of(settings, group.store) as home:
        return await recorded.begin(home, settings, group, max_events_per_s, cut)


async def verify(build: Build, settings: Settings) -> list[Compared]:
    """Compare a version with the live one. Raises VersionRefused."""
    _check_may_be_live(build.version)
    if build.group.store == PROJECTION:
        return await by_snapshot.verify(build, settings)
    async with home_of(settings, build.group.store) as home:
        return await comparing.verify(home, build, settings)


async def swap(build: Build, settings: Settings) -> Version:
    """Have a version live; the registry's new row of it. Raises VersionRefused."""
    _check_may_be_live(build.version)
    if build.group.store == PROJECTION:
        return await changes.swap(build, settings)
    async with home_of(settings, build.group.store) as home:
        return await recorded.swap(home, build, settings)


async def follow(build: Build, settings: Settings, show: Callable[[str], None] = lambda _: None) -> None:
    """Keep a version until it is retired, or until the projection's workers have its fold and can keep it."""
    _check_may_be_live(build.version)
    if build.group.store == PROJECTION:
        await changes.follow(build, settings, show)
        return
    async with home_of(settings, build.group.store) as home:
        await recorded.follow(home, build, settings, show)


async def retire(settings: Settings, group: Group, version: Version) -> None:
    """Drop a version that is not live. Raises VersionRefused."""
    if group.store == PROJECTION:
        await changes.retire(settings, version)
        return
    async with home_of(settings, group.store) as home:
        await recorded.retire(home, settings, group, version)


async def mirror(settings: Settings, group: Group) -> None:
    """Have the registry say of a view what its store does."""
    if group.store != PROJECTION:
        async with home_of(settings, group.store) as home:
            await recorded.mirror(home, settings, group)


def _check_may_be_live(version: Version) -> None:
    """Raises VersionRefused of what was built as of a cut: it lacks all that came after it, and always will."""
    if version.cut is not None:
        raise VersionRefused(
            f"version {version.version} of {version.view} is an inspection as of {version.cut.asked}: it is neither "
            "compared, nor kept up to date, nor ever live; look at it (playhead views show), and retire it"
        )
