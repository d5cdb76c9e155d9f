"""One backfill from its first byte to its last line: opened, taken, and ended well or told why not."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client import Counter, Gauge
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from commands import errors
from commands.dependencies import Resources
from commands.playback.backfill.answering import Outlet, Summary, last_line_of
from commands.playback.backfill.progress import NOTHING, Place, PostgresProgress
from commands.playback.backfill.reading import Reader
from commands.playback.backfill.taking import Bounds, Taking
from commands.playback.refusals import BackfillBusy
from infra.http.problems import HTTP_KINDS, ProblemKind
from infra.http.request_bounds import TIMED_OUT
from infra.http.streamed_bodies import StreamBounds, StreamedBody
from infra.settings import Settings
from infra.telemetry import log

LINGER_S: Final = 5.0
"""How long a body is read on that is not wanted, so that its sender comes to read why."""
OUTER_S: Final = 60.0
"""How much later than the backfill its request is cut off: it ends itself, with a last line."""
LINES: Final = Counter("playhead_backfill_lines_total", "Lines of backfills that were answered", ["status"])
EXPECTED: Final[tuple[type[Exception], ...]] = (HTTPException, *errors.PROBLEMS)
UNDER_WAY: Final = Gauge("playhead_backfill_requests", "Backfills under way in this process")


class Places:
    """How many backfills one process works on at a time."""

    def __init__(self, settings: Settings) -> None:
        self._most = settings.backfill_max_concurrency
        self._again = {"Retry-After": str(settings.retry_after_s)}
        self._taken = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take a place for a while. Raises BackfillBusy."""
        if self._taken >= self._most:
            raise BackfillBusy(f"{self._most} backfills are under way here; send this one again", headers=self._again)
        self._taken += 1
        UNDER_WAY.inc()
        try:
            yield
        finally:
            self._taken -= 1
            UNDER_WAY.dec()


@dataclass(frozen=True)
class Backfill:
    """A request to backfill, its caller known. Called with an outlet, it is the work of a StreamedReply."""

    request: Request
    opened: Resources
    places: Places
    reader: Reader
    place: Place

    async def __call__(self, outlet: Outlet) -> None:
        """Take it. Raises what is wrong before anything was answered."""
        with self.places.one():
            settings = self.opened.settings
            bounds = StreamBounds(
                settings.backfill_max_bytes, settings.backfill_idle_s, settings.backfill_timeout_s + OUTER_S
            )
            body = StreamedBody(self.request, bounds)
            taking = await self._opened()
            try:
                summary = await self._taken(taking, body, outlet)
            except (ClientDisconnect, BrokenPipeError):
                log.info("backfill_left", lines=taking.summary().lines)
                return
            finally:
                _count(taking)
            if summary is not None:
                outlet.put(last_line_of(summary))

    async def _opened(self) -> Taking:
        opened, settings = self.opened, self.opened.settings
        progress = PostgresProgress(opened.pool, opened.clock, settings)
        await progress.forget_expired()
        found = await progress.find(self.place)
        return Taking(
            reader=self.reader,
            limits=opened.limits,
            bounds=Bounds.of(settings),
            publisher=opened.publisher,
            progress=progress,
            place=self.place,
            clock=opened.clock,
            before=found.done if found else NOTHING,
        )

    async def _taken(self, taking: Taking, body: StreamedBody, outlet: Outlet) -> Summary:
        try:
            async with asyncio.timeout(self.opened.settings.backfill_timeout_s) as timer:
                await taking.run(body.pieces(), outlet)
        except EXPECTED as error:
            if isinstance(error, TimeoutError) and timer.expired():
                outlet.release()
                return taking.summary(problem=TIMED_OUT.slug, reason="it took too long; repeat it to go on")
            await body.discard(LINGER_S)
            if not outlet.has_begun:
                raise
            return taking.summary(problem=_kind_of(error).slug, reason=_reason_of(error))
        return taking.summary()


def _kind_of(error: Exception) -> ProblemKind:
    if isinstance(error, HTTPException):
        return HTTP_KINDS[error.status_code]
    return next(errors.PROBLEMS[cls] for cls in type(error).__mro__ if cls in errors.PROBLEMS)


def _reason_of(error: Exception) -> str:
    return str(error.detail) if isinstance(error, HTTPException) else str(error)


def _count(taking: Taking) -> None:
    counts = taking.counts
    for status, lines in (
        ("accepted", counts.accepted),
        ("duplicate", counts.duplicates),
        ("rejected", counts.rejected),
        ("retry", counts.retry),
    ):
        LINES.labels(status).inc(lines)
