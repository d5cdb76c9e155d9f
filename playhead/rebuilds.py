"""`playhead rebuilds`: carries out what operators ask of views over HTTP, and keeps the live versions that no worker
can keep yet. It runs as whoever owns the tables, as `playhead views` does.

One rebuild at a time, and one of the other changes beside it. Of several of these processes one is at work. What a kill
interrupts is begun again: each change is done already, or can be done again.
"""

import asyncio
import gc
from collections.abc import Sequence
from contextlib import AsyncExitStack
from enum import StrEnum
from typing import Final, NamedTuple

import asyncpg
import uvloop

from commands.handling import Handling, Terms
from commands.operations.view_changes import ViewChanges
from commands.operations.view_decider import ConcludeViewChange
from events.envelope import Context
from events.operations import ViewAction
from infra.clock import monotonic_s, utc_now
from infra.event_log import EventLog
from infra.ids import new_id
from infra.postgres import Pool, Role, connect_pool
from infra.settings import Settings
from infra.telemetry import configure_logs, log
from infra.working import working
from playhead import view_versions
from playhead.console import out
from playhead.kept_versions import AWAY, KeptVersions
from playhead.leading import Lead
from playhead.view_requests import Changes, Request, open_requests
from projections import metrics
from projections.errors import ProjectionError, StoreEmptied, StoreUnavailable
from projections.versions import registry
from projections.worker import GC_THRESHOLDS

PRINCIPAL: Final = "rebuilds"
BEGUN: Final = """
    update view_requests set begun_at = now(), tries = tries + 1, trouble = null
    where view = $1 and number = $2 and outcome is null returning 1
"""
TROUBLE: Final = "update view_requests set trouble = $3 where view = $1 and number = $2"


class Lane(StrEnum):
    """In each, one request at a time."""

    REBUILD = "rebuild"
    CHANGE = "change"


class Job(NamedTuple):
    """A request that is being carried out."""

    request: Request
    task: "asyncio.Task[None]"


class Rebuilds:
    """Looks for what is asked, round after round. `trouble`: why the last one failed, or None."""

    def __init__(self, settings: Settings, pool: Pool) -> None:
        self._settings = settings
        self._pool = pool
        self._lead = Lead(settings, "rebuilds")
        self._kept = KeptVersions(settings)
        self._changes = Changes(settings, pool, self._kept)
        handling = Handling(EventLog(pool, settings), utc_now)
        self._record = ViewChanges(pool, handling, settings.view_requests_open_max)
        self._jobs: dict[Lane, Job] = {}
        self._not_before_s: dict[tuple[str, int], float] = {}
        self._mirror_at_s = float("-inf")
        self._stopped = asyncio.Event()
        self.trouble: str | None = "not started"

    def stop(self) -> None:
        """End; what is under way is begun again by the next one."""
        self._stopped.set()

    async def missing(self) -> dict[str, str]:
        """What readiness shows: a process that waits for another to end is ready."""
        trouble = {"rebuilds": self.trouble} if self.trouble else {}
        return trouble | {f"view {view}": why for view, why in self._kept.untended.items()}

    async def run(self) -> None:
        """Until stop(). Raises what is neither a version's nor a server's trouble."""
        try:
            while not self._stopped.is_set():
                try:
                    await (self._round() if await self._lead.held() else self._let_go())
                    self.trouble = None
                except AWAY as error:
                    self.trouble = repr(error)
                    log.warning("rebuilds_wait", reason=self.trouble)
                    await self._let_go()
                await self._pause()
        finally:
            await self._let_go()
            self._lead.give_up()

    async def _round(self) -> None:
        self._reap()  # before the requests are read: what has ended is not among them
        await self._mirror()
        versions = await registry.read(self._pool)
        requests = await open_requests(self._pool)
        metrics.show_versions(versions)
        metrics.REBUILDS_LEADING.set(1)
        metrics.REQUESTS_OPEN.set(len(requests))
        self._begin(requests)
        self._kept.tend(versions, {job.request.view for job in self._jobs.values()})

    async def _mirror(self) -> None:
        """Have the registry know what the other stores say is live, now and then; one that is away says nothing."""
        if monotonic_s() < self._mirror_at_s:
            return
        self._mirror_at_s = monotonic_s() + self._settings.rebuilds_mirror_interval_s
        try:
            async with asyncio.timeout(2 * self._settings.query_timeout_s):
                await view_versions.mirror(self._settings)
        except AWAY as error:
            log.warning("views_not_mirrored", reason=repr(error))

    def _reap(self) -> None:
        for lane, job in [*self._jobs.items()]:
            if job.task.done():
                del self._jobs[lane]
                job.task.result()

    def _begin(self, requests: Sequence[Request]) -> None:
        """Each in its lane, those of one view in the order in which they were asked."""
        passed: set[tuple[Lane, str]] = set()
        for request in requests:
            is_built_here = request.action is ViewAction.REBUILD and self._is_rebuilt(request)
            lane = Lane.REBUILD if request.action is ViewAction.REBUILD and not is_built_here else Lane.CHANGE
            waits = self._not_before_s.get(request.key, 0.0) > monotonic_s() or (lane, request.view) in passed
            if not waits and lane not in self._jobs:
                self._jobs[lane] = Job(request, asyncio.create_task(self._carry_out(request, is_built_here)))
            passed.add((lane, request.view))

    def _is_rebuilt(self, request: Request) -> bool:
        """Whether another request has this view rebuilt at the moment, and has begun."""
        job = self._jobs.get(Lane.REBUILD)
        return job is not None and request.view in self._changes.built and job.request.key != request.key

    async def _carry_out(self, request: Request, is_built_here: bool) -> None:
        """Try, and say what it came to; or why it is tried again later."""
        try:
            if (ended := await self._tried(request, is_built_here)) is not None:
                await self._conclude(request, ended)
        except AWAY as error:
            pause_s = min(0.5 * 2 ** min(request.tries, 10), self._settings.store_retry_max_s)
            self._not_before_s[request.key] = monotonic_s() + pause_s
            log.warning("view_request_waits", **_named(request), reason=repr(error))
            await self._pool.execute(TROUBLE, *request.key, repr(error))
        else:
            self._not_before_s.pop(request.key, None)

    async def _tried(self, request: Request, is_built_here: bool) -> ConcludeViewChange | None:
        """What it came to; None: it was canceled meanwhile."""
        if request.tries >= self._settings.view_request_max_tries:
            return _failed(request, f"it was begun {request.tries} times, and never came to an end")
        if not await self._pool.fetchval(BEGUN, *request.key):
            return None
        log.info("view_request_begun", **_named(request))
        try:
            done = await self._changes.carry_out(request, is_built_here=is_built_here)
        except (StoreUnavailable, StoreEmptied):
            raise
        except (ProjectionError, asyncpg.InsufficientPrivilegeError) as error:
            return _failed(request, str(error))
        return ConcludeViewChange(request=request.number, version=done.version, detail=done.says)

    async def _conclude(self, request: Request, ended: ConcludeViewChange) -> None:
        context = Context(correlation_id=f"{PRINCIPAL}-{new_id()}", principal=PRINCIPAL)
        if await self._record.conclude(request.view, ended, Terms(context)):
            outcome = "failed" if ended.has_failed else "completed"
            metrics.REQUESTS_ENDED.labels(request.action, outcome).inc()
            log.info("view_request_ended", **_named(request), outcome=outcome, detail=ended.detail)

    async def _let_go(self) -> None:
        """Leave everything as it is, for who works next."""
        tasks = [*(job.task for job in self._jobs.values()), *self._kept.let_go()]
        self._jobs.clear()
        self._mirror_at_s = float("-inf")
        metrics.show_versions(())
        metrics.REBUILDS_LEADING.set(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._settings.rebuilds_poll_interval_s):
                await self._stopped.wait()
        except TimeoutError:
            return


def _failed(request: Request, why: str) -> ConcludeViewChange:
    return ConcludeViewChange(request=request.number, detail=why, has_failed=True)


def _named(request: Request) -> dict[str, object]:
    return {"view": request.view, "number": request.number, "action": request.action.value}


def run(settings: Settings) -> None:
    """Carry out what is asked until SIGTERM or SIGINT."""
    configure_logs(settings)
    out.quiet = True  # what `playhead views` shows; here it is in the log and the metrics
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    async with AsyncExitStack() as opened:
        pool = await connect_pool(settings, role=Role.COMMANDS, size=4)
        opened.push_async_callback(pool.close)
        rebuilds = Rebuilds(settings, pool)
        await opened.enter_async_context(working(settings, "rebuilds", ready=rebuilds.missing, stop=rebuilds.stop))
        await rebuilds.run()
