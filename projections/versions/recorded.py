"""Changes of versions in stores that say themselves which one is live, Redis and Cassandra (ADR 21): one write in the
store is the swap, and the registry in Postgres follows it.

Whoever is killed between the two, or before workers keep what became live, does it again, or has `playhead views
follow` do it: what the store says is mended into the registry first.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, NamedTuple, Protocol, Self, TypeAlias

from msgspec import structs

from infra.clock import monotonic_s, utc_now
from infra.live_views import Keeper, LiveView
from infra.settings import Settings
from infra.telemetry import log
from projections.versions import registry
from projections.versions.build import Build
from projections.versions.changes import RETRY_PAUSE_S, NotReached, migrating
from projections.versions.groups import Group
from projections.versions.keeping import Superseded
from projections.versions.registry import State, Stop, Version, VersionRefused

Key: TypeAlias = tuple[Any, ...]


class Pair(NamedTuple):
    """A row as JSON, live and in a version; None: it is not there. `key`: as the store finds it again."""

    key: Key
    live: bytes | None
    other: bytes | None


class Home(Protocol):
    """A store that versions are in. Use as a context; its methods raise StoreUnavailable."""

    settle_s: float
    """How long after a change workers may still write by what was before it."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *_: object) -> None: ...

    async def live(self, view: str) -> LiveView:
        """What is live of a view. Raises VersionRefused where its projection never ran."""

    async def is_kept(self, view: str, version: int) -> bool:
        """Whether a version has checkpoints of its own."""

    async def create(self, view: str, version: int) -> None:
        """Have room for a version's rows."""

    async def drop(self, view: str, version: int) -> None:
        """Drop a version's rows and checkpoints."""

    def still(self) -> AbstractAsyncContextManager[None]:
        """While the projection's checkpoints do not move, where that can be had. Raises NotReached."""

    async def put(self, view: str, was: LiveView, now: LiveView) -> bool:
        """Change what is live, in one write, keeping the checkpoints of what was; whether it was still what it was."""

    async def seen(self, view: str, version: int) -> tuple[float | None, float | None]:
        """How long ago, in seconds, a worker said that it has a version's fold, and one that it has another."""

    def pages(self, group: Group, live: int, other: int) -> AsyncIterator[Sequence[Pair]]:
        """Every row of two versions, a bounded number at a time, each as it is when it is read."""

    async def pairs(self, group: Group, live: int, other: int, keys: Sequence[Key]) -> Sequence[Pair]:
        """Some rows of two versions, read again."""


async def begin(
    home: Home, settings: Settings, group: Group, max_events_per_s: int | None = None, cut: Stop | None = None
) -> Version:
    """A new version, or the one that is being built as of this cut, or of none. Raises VersionRefused."""
    await mirror(home, settings, group)
    async with migrating(settings) as connection, connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(hashtext('view_versions'), hashtext($1))", group.name)
        version = await registry.begun(connection, group, max_events_per_s, cut) or await registry.add(
            connection, group, max_events_per_s, cut
        )
    await home.create(group.name, version.version)
    return version


async def mirror(home: Home, settings: Settings, group: Group) -> Version:
    """Have the registry say of a view what its store does; the row of what is live."""
    live = await home.live(group.name)
    async with migrating(settings) as connection, connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(hashtext('view_versions'), hashtext($1))", group.name)
        for version in await registry.read(connection, group.name):
            if version.state is State.LIVE and version.version != live.version:
                there = await home.is_kept(group.name, version.version)  # else the store was emptied
                await registry.note(connection, version, state=State.READY if there else State.RETIRED)
                await registry.note(connection, version, keeper=registry.Keeper.REBUILD)
        await registry.mirror(connection, group.store, group.name, live)
        return await registry.one(connection, group.name, live.version)


async def retire(home: Home, settings: Settings, group: Group, version: Version) -> None:
    """Drop a version that is not live. Again, if it was not ended. Raises VersionRefused."""
    live = await mirror(home, settings, group)
    async with migrating(settings) as connection:
        now = await registry.one(connection, version.view, version.version)
        if now.state is not State.RETIRED:
            await registry.move(connection, now, State.RETIRED)
    if live.swapped_at is not None:  # nobody reads what was live until it is known that it is not
        readable_until = live.swapped_at + timedelta(seconds=settings.view_live_kept_s + settings.query_timeout_s)
        await asyncio.sleep(max((readable_until - utc_now()).total_seconds(), 0))
    await home.drop(version.view, version.version)


async def swap(home: Home, build: Build, settings: Settings) -> Version:
    """Have a version live, in place of the one that is; the registry's new row of it. Raises VersionRefused."""
    group, number = build.group, build.version.version
    await mirror(home, settings, group)
    live = await home.live(group.name)
    if live.version == number:
        return await mirror(home, settings, group)
    if build.version.state is not State.READY:
        raise VersionRefused(f"version {number} of {group.name} is {build.version.state}, not ready")
    fold = group.folds[group.name]
    stays = live.keeper is Keeper.PROJECTION and live.fold == fold
    keeper = _handed(home) if stays else Keeper.REBUILD
    await _put(home, build, settings, live, LiveView(number, keeper, fold))
    if keeper is Keeper.BOTH:
        await mirror(home, settings, group)
        await settle(home, build, settings)
    return await mirror(home, settings, group)


async def follow(home: Home, build: Build, settings: Settings, show: Callable[[str], None] = lambda _: None) -> None:
    """Keep a version until it is retired, or until the projection's workers have its fold and can keep it."""
    view, number, asked_at_s = build.group.name, build.version.version, float("-inf")
    try:
        async for behind in build.steps():
            if behind > settings.rebuild_ready_records or monotonic_s() - asked_at_s < settings.rebuild_lag_poll_s:
                continue
            asked_at_s, live = monotonic_s(), await home.live(view)
            if live.version == number and await _handed_back(home, build, settings, live):
                await mirror(home, settings, build.group)
                show(f"{view}: the projection keeps version {number} now")
                return
    except Superseded as ended:
        show(str(ended))


async def _handed_back(home: Home, build: Build, settings: Settings, live: LiveView) -> bool:
    """Hand the live version to the projection, if that can be; whether it is its now."""
    if live.keeper is Keeper.REBUILD:
        if not await _may_hand_back(home, build, settings):
            return False
        handed = structs.replace(live, keeper=_handed(home))
        await _put(home, build, settings, live, handed)
        live = handed
    if live.keeper is Keeper.BOTH:
        await settle(home, build, settings)
    return True


async def _may_hand_back(home: Home, build: Build, settings: Settings) -> bool:
    """Whether workers with a live version's fold are there, and none with others; for so long nobody else has been."""
    quiet_s = settings.view_hand_back_quiet_s
    current_s, outdated_s = await home.seen(build.group.name, build.version.version)
    swapped_at = build.version.swapped_at or build.version.created_at
    quiet = (utc_now() - swapped_at).total_seconds() > quiet_s and (outdated_s is None or outdated_s > quiet_s)
    return quiet and current_s is not None and current_s < quiet_s


def _handed(home: Home) -> Keeper:
    """Who keeps what the projection is to keep, at first."""
    return Keeper.BOTH if home.settle_s else Keeper.PROJECTION


async def settle(home: Home, build: Build, settings: Settings) -> None:
    """Keep a version beside the workers until each of them knows that it is theirs, and it has whatever those wrote
    elsewhere that did not know it yet. Then it is theirs alone.
    """
    began_s = monotonic_s()
    async for _ in build.steps():
        if monotonic_s() - began_s > home.settle_s:
            break
    limits = await build.limits()
    async for _ in build.steps():
        if all(build.own[each] >= limit for each, limit in limits.items()):
            break
    live = await home.live(build.group.name)
    if live.version == build.version.version and live.keeper is Keeper.BOTH:
        await home.put(build.group.name, live, structs.replace(live, keeper=Keeper.PROJECTION))


async def _put(home: Home, build: Build, settings: Settings, was: LiveView, now: LiveView) -> None:
    """Change what is live while the version is where the projection is. Tried again where it moved on."""
    for tries_left in reversed(range(settings.view_swap_max_tries)):
        async for behind in build.steps():
            if behind <= settings.rebuild_ready_records:
                break
        try:
            async with home.still():
                limits = await build.limits()
                if await build.reach(limits, settings.view_swap_locked_max_s):
                    if await home.put(build.group.name, was, now):
                        log.info("another version is live", view=build.group.name, version=now.version)
                        return
                    raise NotReached
        except NotReached:
            log.info("not swapped yet", view=build.group.name, tries_left=tries_left)
        if await home.live(build.group.name) != was:
            break
        await asyncio.sleep(RETRY_PAUSE_S)
    raise VersionRefused(
        f"{build.group.name}: it cannot catch up with what comes, or somebody else has changed meanwhile what is live"
    )
