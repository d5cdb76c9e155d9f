"""handle(): one command against its stream, in one transaction, with one of three endings.

Recorded: its events are in the log. Ignored: they were already, a success. Refused: a Refusal, nothing is written.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from commands.auditing import change_between
from commands.decider import Decider
from events.envelope import Context, Event
from events.refusals import Refusal
from infra.clock import Clock
from infra.event_log import EventLog, HandledMeanwhile, Idempotency, Opened, Stream
from infra.postgres import Connection

S = TypeVar("S")
C = TypeVar("C")


Alongside = Callable[[Connection, list[Event]], Awaitable[None]]
"""What is written in the same transaction as the events that it gets: secrets, which are in no event. A Refusal from it
leaves nothing written. It is not run for a repeated request."""


class VersionConflict(Refusal):
    """The stream is not at the version that the caller expected."""


class IdempotencyKeyMissing(Refusal):
    """The command may not come twice, and nothing would tell."""


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


@dataclass(frozen=True)
class Step(Generic[C, S]):
    """A command for one stream, when several are decided together."""

    command: C
    decider: Decider[C, S]
    target: Target


class Handling:
    """Runs commands against the event log."""

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock

    async def handle(
        self,
        command: C,
        *,
        decider: Decider[C, S],
        target: Target,
        terms: Terms,
        alongside: Alongside | None = None,
    ) -> Outcome:
        """Decide and record. A request that was handled before gets the outcome that it got then."""
        return await self.handle_together([Step(command, decider, target)], terms, alongside=alongside)

    async def handle_together(
        self, steps: Sequence[Step[Any, Any]], terms: Terms, *, alongside: Alongside | None = None
    ) -> Outcome:
        """Decide several streams in one transaction: all are recorded, or none. The outcome is the first step's, and
        the expected version is that of its stream. Each step has a stream of its own."""
        try:
            return await self._handle(steps, terms, alongside)
        except HandledMeanwhile:
            return await self._handle(steps, terms, alongside)

    async def _handle(self, steps: Sequence[Step[Any, Any]], terms: Terms, alongside: Alongside | None) -> Outcome:
        now = self._clock()
        snapshots = {step.target.stream_id: step.decider.digest for step in steps}
        async with self._log.open(snapshots, now=now, request=terms.idempotency) as opened:
            if opened.replayed is not None:
                outcome = msgspec.json.decode(opened.replayed.reply, type=Outcome)
                return msgspec.structs.replace(outcome, position=opened.replayed.place)
            _check_version(opened.streams[steps[0].target.stream_id], terms.expected_version)
            decided = {step.target.stream_id: await _decide(opened, step, now, terms.context) for step in steps}
            recorded = {stream_id: each.events for stream_id, each in decided.items()}
            changes = {stream_id: each.change for stream_id, each in decided.items() if each.change is not None}
            outcome = _outcome(opened, steps[0].target, recorded)
            if alongside is not None:
                await alongside(opened.connection, [event for events in recorded.values() for event in events])
            places = await opened.record(recorded, terms.context, msgspec.json.encode(outcome), changes=changes)
        return msgspec.structs.replace(outcome, position=places[steps[0].target.stream_id])


def _check_version(stream: Stream, expected_version: int | None) -> None:
    if expected_version is not None and expected_version != stream.version:
        raise VersionConflict(
            f"the stream is at version {stream.version}, not {expected_version}; read it again and decide anew",
            members={"version": stream.version},
        )


class _Decided(NamedTuple):
    events: list[Event]
    change: str | None = None


async def _decide(opened: Opened, step: Step[Any, Any], now: datetime, context: Context) -> _Decided:
    stream, decider = opened.streams[step.target.stream_id], step.decider
    since = decider.thaw(stream.snapshot.state) if stream.snapshot else decider.initial
    state = decider.state_after((recorded.data for recorded in stream.events), since)
    if decider.digest is not None and opened.is_long(stream):
        await opened.keep_snapshot(stream, decider.freeze(state), decider.digest)
    events: list[Event] = decider.decide(step.command, state, now)
    if context.client_address is None:  # not of staff: what changed is not kept
        return _Decided(events)
    after = decider.state_after(events, state)
    return _Decided(events, change_between(state, after, max_bytes=opened.change_max_bytes))


def _outcome(opened: Opened, target: Target, decided: dict[str, list[Event]]) -> Outcome:
    events = decided[target.stream_id]
    return Outcome(
        subject=target.subject,
        version=opened.streams[target.stream_id].version + len(events),
        recorded=tuple(type(event).__name__ for event in events),
        position="",
    )
