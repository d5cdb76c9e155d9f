"""What operators asked of views over HTTP, carried out by what `playhead views` runs: each so that it may be begun
again after a crash at any moment. What is so already is done.
"""

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from events.operations import ViewAction
from infra.postgres import Pool, Role, connect_pool
from infra.settings import Settings
from playhead import view_versions
from playhead.kept_versions import KeptVersions
from projections.versions import anywhere, registry
from projections.versions.registry import State, Version, VersionRefused

OPEN: Final = """
    select view, number, action, version, after_version, max_events_per_s, accept, force, asked_at, tries
    from view_requests where outcome is null order by asked_at, view, number limit $1
"""
OPEN_MAX: Final = 1_000


class Request(msgspec.Struct, frozen=True):
    """A row of view_requests that is not done yet."""

    view: str
    number: int
    action: ViewAction
    version: int | None
    after_version: int
    max_events_per_s: int | None
    accept: bool
    force: bool
    asked_at: datetime
    tries: int

    @property
    def key(self) -> tuple[str, int]:
        """What it is known by."""
        return self.view, self.number


class Done(NamedTuple):
    """What a request came to: the version that it is about, and in words."""

    version: int
    says: str


async def open_requests(pool: Pool) -> list[Request]:
    """What is not done yet, the oldest first."""
    return [msgspec.convert(dict(row.items()), Request) for row in await pool.fetch(OPEN, OPEN_MAX)]


class Changes:
    """Carries requests out. Raises VersionRefused and Superseded where that cannot be, and what servers raise. `built`:
    the views that are being rebuilt here, once their version is there.
    """

    def __init__(self, settings: Settings, pool: Pool, kept: KeptVersions) -> None:
        self._settings = settings
        self._pool = pool
        self._kept = kept
        self.built: set[str] = set()

    async def carry_out(self, request: Request, *, is_built_here: bool = False) -> Done:
        """Do what is asked. `is_built_here`: another request has the view rebuilt already, in this process."""
        match request.action:
            case ViewAction.REBUILD:
                return await (self._set_pace(request) if is_built_here else self._rebuild(request))
            case ViewAction.PAUSE | ViewAction.RESUME:
                return await self._set_paused(request, paused=request.action is ViewAction.PAUSE)
            case ViewAction.VERIFY:
                return await self._verify(request)
            case ViewAction.SWAP:
                return await self._swap(request, force=request.force)
            case ViewAction.ROLLBACK:
                return await self._swap(request, force=True)
            case ViewAction.RETIRE:
                return await self._retire(request)

    async def _rebuild(self, request: Request) -> Done:
        if (made := await self._made(request)) is None:
            await self._build(request)
            made = await self._made(request)
        if made is None:
            raise VersionRefused(f"what was built of {request.view} is retired")
        return Done(made.version, f"version {made.version} is {made.state}")

    async def _build(self, request: Request) -> None:
        """Begin, or go on: then at the pace that it has, which may have been changed since this was asked."""
        goes_on = request.tries > 0 and await self._being_built(request.view) is not None
        pace = None if goes_on else request.max_events_per_s
        await anywhere.begin(self._settings, view_versions.group_of(self._settings, request.view), pace)
        self.built.add(request.view)
        try:
            await view_versions.rebuild(self._settings, request.view, None)
        finally:
            self.built.discard(request.view)

    async def _made(self, request: Request) -> Version | None:
        """What came of it before."""
        for version in await registry.read(self._pool, request.view):
            if version.version > request.after_version and version.state in (State.READY, State.LIVE):
                return version
        return None

    async def _set_pace(self, request: Request) -> Done:
        built = await self._built(request.view)
        if request.max_events_per_s is not None:
            await self._note(built, max_events_per_s=request.max_events_per_s)
        return Done(built.version, f"version {built.version} is being built already, and takes this pace")

    async def _set_paused(self, request: Request, *, paused: bool) -> Done:
        built = await self._built(request.view)
        await self._note(built, paused=paused)
        return Done(built.version, f"version {built.version} is {'paused' if paused else 'resumed'}")

    async def _verify(self, request: Request) -> Done:
        version = await self._ready(request)
        await view_versions.verify(self._settings, request.view, version.version, accept=request.accept)
        verified = (await self._version(request)).verified or {}
        differs = "differs, which was accepted" if request.accept else "differs: accept it, or force the swap"
        says = "holds the same rows as the live one" if verified.get("equal") else differs
        return Done(version.version, f"version {version.version} {says}")

    async def _swap(self, request: Request, *, force: bool) -> Done:
        if not await self._is_live(request):
            version = await self._ready(request)
            if self._kept.is_full:
                raise VersionRefused(
                    f"{len(self._kept)} live views are kept here, and no more may be "
                    "(PLAYHEAD_REBUILDS_FOLLOWED_MAX): roll the workers to the release that has their folds first"
                )
            await self._swapped(request, view_versions.swap(self._settings, request.view, version.version, force=force))
        assert request.version is not None
        return Done(request.version, f"version {request.version} is live")

    async def _swapped(self, request: Request, swap: Coroutine[Any, Any, None]) -> None:
        """Until it is live. If its fold is not the workers' yet, it goes on, and is kept here."""
        task = asyncio.create_task(swap)
        try:
            while not await self._is_live(request):
                if (await asyncio.wait({task}, timeout=self._settings.rebuilds_poll_interval_s))[0]:
                    task.result()
                    return
        except BaseException:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        self._kept.keep(request.view, task)

    async def _is_live(self, request: Request) -> bool:
        """Whether it is, or was since that was asked: then somebody has put in another one meanwhile."""
        version = await self._version(request)
        swapped_at = version.swapped_at
        return version.state is State.LIVE or (swapped_at is not None and swapped_at >= request.asked_at)

    async def _retire(self, request: Request) -> Done:
        version = await self._version(request)
        if version.state is not State.RETIRED:
            await view_versions.retire(self._settings, request.view, version.version)
        return Done(version.version, f"version {version.version} is retired, and its rows are gone")

    async def _version(self, request: Request) -> Version:
        assert request.version is not None
        return await registry.one(self._pool, request.view, request.version)

    async def _ready(self, request: Request) -> Version:
        version = await self._version(request)
        if version.state is not State.READY:
            raise VersionRefused(f"version {version.version} of {version.view} is {version.state}, not ready")
        return version

    async def _built(self, view: str) -> Version:
        if (version := await self._being_built(view)) is None:
            raise VersionRefused(f"no version of {view} is being built")
        return version

    async def _being_built(self, view: str) -> Version | None:
        for version in await registry.read(self._pool, view):
            if version.state in (State.BUILDING, State.CATCHING_UP):
                return version
        return None

    async def _note(self, version: Version, **values: object) -> None:
        pool = await connect_pool(self._settings, role=Role.PROJECTIONS, size=1)
        try:
            await registry.note(pool, version, **values)
        finally:
            await pool.close()
