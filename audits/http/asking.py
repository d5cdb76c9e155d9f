"""What every question over HTTP has: its sources, a turn among few, and an end when who asked has gone away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Annotated, Final, TypeVar

from fastapi import Depends, Query, Request

from audits.sources import Source, SourceAway, Sources, opened
from infra.access.authentication import SCOPE_MISSING, UNAUTHENTICATED, Needs
from infra.access.permissions import Scope
from infra.archive.errors import ArchiveAway
from infra.http.problems import INVALID_REQUEST, ProblemKind, Refusal
from infra.settings import Settings
from query_api.stores import STORE_UNAVAILABLE

T = TypeVar("T")

SOURCE_AWAY: Final = ProblemKind(503, "history-source-away", "A part of the history does not answer")
AUDITS_BUSY: Final = ProblemKind(503, "audits-busy", "As many questions are being answered as may be at a time")
ARCHIVE_DAMAGED: Final = ProblemKind(503, "archive-damaged", "A file of the archive is not what its manifest says")
EVERY_QUESTION: Final = (
    UNAUTHENTICATED,
    SCOPE_MISSING,
    INVALID_REQUEST,
    STORE_UNAVAILABLE,
    SOURCE_AWAY,
    AUDITS_BUSY,
    ARCHIVE_DAMAGED,
)
AUDITOR: Final = Depends(Needs(Scope.HISTORY_READ))
"""For every route here. More than audit:read, which shows what staff did: all of everybody is in the history."""


class AuditsBusy(Refusal):
    """Nobody's turn came in time."""


class Gone(Exception):
    """Who asked has gone away: nobody is answered any more."""


class Auditing:
    """The sources of a process, and whose turn it is to scan them: settings.audits_max_concurrency at a time."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._turns = asyncio.Semaphore(settings.audits_max_concurrency)
        self._sources = Sources(settings, frozenset())

    @asynccontextmanager
    async def turn(self, without: frozenset[Source] = frozenset()) -> AsyncIterator[Sources]:
        """The sources, while it is this question's turn. Raises AuditsBusy, SourceAway."""
        try:
            async with asyncio.timeout(self.settings.audits_turn_wait_s):
                await self._turns.acquire()
        except TimeoutError as error:
            raise self._busy() from error
        try:
            if without:
                async with opened(self.settings, without=without) as sources:
                    yield sources
            else:
                yield self._sources
        except ArchiveAway as error:
            raise SourceAway.of(Source.ARCHIVE, error) from error
        finally:
            self._turns.release()

    async def close(self) -> None:
        """Let go of what was opened."""
        await self._sources.close()

    def _busy(self) -> AuditsBusy:
        most = self.settings.audits_max_concurrency
        again = {"Retry-After": str(self.settings.retry_after_s)}
        return AuditsBusy(f"{most} questions are being answered here; ask again", headers=again)


async def while_here(request: Request, answer: Awaitable[T]) -> T:
    """An answer, as long as somebody waits for it: a client that goes away ends what reads for it. Raises Gone."""
    answering, leaving = asyncio.ensure_future(answer), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise Gone
        return answering.result()
    finally:
        for task in (answering, leaving):
            task.cancel()
        await asyncio.gather(answering, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _auditing(request: Request) -> Auditing:
    auditing: Auditing = request.app.state.auditing
    return auditing


Asks = Annotated[Auditing, Depends(_auditing)]
Without = Annotated[
    list[Source] | None,
    Query(description="Sources to do without: the answer says what it lacks then", examples=[["kafka"]]),
]
