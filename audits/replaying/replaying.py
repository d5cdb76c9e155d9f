"""A replay at work: events in order, each when it is due, a bounded number on their way, and how far all are taken."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from aiokafka.errors import KafkaError

from audits.history.events import HistoryEvent
from audits.replaying.destinations import Destination, DestinationAway, EventRefused
from audits.replaying.pace import Pace
from events.refusals import Refusal
from infra.archive.errors import ArchiveDamaged
from infra.clock import monotonic_s
from infra.settings import Settings


@dataclass
class Told:
    """What a replay came to so far. `refused`: how many events the destination would not have, by why. `late_s`: how
    much later than it was due an event was begun at most.
    """

    sent: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    late_s: float = 0.0


class Replay:
    """Sends events. `taken`: the last event before which nothing is open; a replay that goes on begins after it."""

    def __init__(
        self,
        destination: Destination,
        pace: Pace,
        settings: Settings,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now_s: Callable[[], float] = monotonic_s,
    ) -> None:
        self.told = Told()
        self.taken: HistoryEvent | None = None
        self._destination = destination
        self._pace = pace
        self._room = asyncio.Semaphore(settings.replay_inflight_max_events)
        self._sleep = sleep
        self._now_s = now_s
        self._open: deque[_Sent] = deque()

    async def run(self, events: AsyncIterator[HistoryEvent]) -> None:
        """Send them all. Raises DestinationAway, after which `taken` says from where to go on."""
        begun_s = self._now_s()
        try:
            async with asyncio.TaskGroup() as sending:
                async for event in events:
                    await self._await_due(begun_s + self._pace.due_s(event.history_time_us))
                    await self._room.acquire()
                    sent = _Sent(event)
                    self._open.append(sent)
                    sending.create_task(self._finish(sent, await self._destination.begin(event)))
        except* (DestinationAway, Refusal, ArchiveDamaged, KafkaError, OSError) as failures:
            raise _first(failures) from None

    async def _await_due(self, due_s: float) -> None:
        early_s = due_s - self._now_s()
        if early_s > 0:
            await self._sleep(early_s)
        else:
            self.told.late_s = max(self.told.late_s, -early_s)

    async def _finish(self, sent: "_Sent", acknowledged: Awaitable[None]) -> None:
        try:
            await acknowledged
            self.told.sent += 1
        except EventRefused as refused:
            self.told.refused[refused.why] += 1
        sent.is_done = True
        while self._open and self._open[0].is_done:
            self.taken = self._open.popleft().event
        self._room.release()


@dataclass
class _Sent:
    event: HistoryEvent
    is_done: bool = False


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
