"""handle(): one command against its stream, in one transaction, with one of three endings.

Recorded: its events are in the log. Ignored: they were already, a success. Refused: a Refusal, nothing is written.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import TypeVar

import msgspec

from commands.decider import Decider
from events.envelope import Context, Event
from infra.clock import Clock
from infra.event_log import EventLog, HandledMeanwhile, Idempotency, Stream, VersionConflict

S = TypeVar("S")
C = TypeVar("C")


class Outcome(msgspec.Struct, frozen=True):
    """How a command ended: what it was about, its stream's version now, what was recorded (nothing: ignored), and the
    position token of the stream's last event."""

    subject: str
    version: int
    recorded: tuple[str, ...]
    position: str


@dataclass(frozen=True)
class Target:
    """What a command is about: the id that its reply names, and the stream that decides."""

    subject: str
    stream_id: str


@dataclass(frozen=True)
class Terms:
    """What a caller asks besides the command: for whom, at which version only (If-Match), and recognisable by what."""

    context: Context
    expected_version: int | None = None
    idempotency: Idempotency | None = None


class Handling:
    """Runs commands against the event log."""

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock

    async def handle(self, command: C, *, decider: Decider[C, S], target: Target, terms: Terms) -> Outcome:
        """Decide and record. A request that was handled before gets the outcome that it got then."""
        try:
            return await self._handle(command, decider, target, terms)
        except HandledMeanwhile:
            return await self._handle(command, decider, target, terms)

    async def _handle(self, command: C, decider: Decider[C, S], target: Target, terms: Terms) -> Outcome:
        now = self._clock()
        async with self._log.open(target.stream_id, now=now) as stream:
            if terms.idempotency and (reply := await stream.replay(terms.idempotency)):
                return msgspec.json.decode(reply, type=Outcome)
            events = await _decide(stream, command, decider, terms.expected_version, now)
            if events:
                await stream.append(events, terms.context)
            outcome = _outcome(target, stream, events)
            if terms.idempotency:
                await stream.remember(terms.idempotency, msgspec.json.encode(outcome))
            return outcome


async def _decide(
    stream: Stream, command: C, decider: Decider[C, S], expected_version: int | None, now: datetime
) -> list[Event]:
    history = await stream.load()
    if expected_version is not None and expected_version != stream.version:
        raise VersionConflict(
            f"the stream is at version {stream.version}, not {expected_version}; read it again and decide anew",
            members={"version": stream.version},
        )
    state = reduce(decider.evolve, (recorded.data for recorded in history), decider.initial)
    return decider.decide(command, state, now)


def _outcome(target: Target, stream: Stream, events: list[Event]) -> Outcome:
    return Outcome(
        subject=target.subject,
        version=stream.version,
        recorded=tuple(type(event).__name__ for event in events),
        position=str(stream.last or ""),
    )
