"""What one request does with its lines, by the rules for those that an earlier one has done: backfill/taking.py."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from starlette.types import Message

from commands.playback.backfill.answering import Outlet
from commands.playback.backfill.lines import Splitter
from commands.playback.backfill.progress import NOTHING, Done, Place
from commands.playback.backfill.reading import Read
from commands.playback.backfill.taking import Bounds, Taking
from commands.playback.refusals import BackfillTooLong
from commands.playback.reports import Limits, Result, Status
from infra.event_log import IdempotencyKeyReused
from infra.positions import Position
from infra.publisher import KafkaUnavailable
from infra.settings import Settings

NOW = datetime(2026, 11, 21, tzinfo=UTC)
BOUNDS = Bounds(max_events=20, batch_lines=4, batch_max_bytes=1_000, produce_max_tries=3, retry_after_s=0)
LINES = [b"a:1", b"b:1", b"", b"a:2", b"bad", b"a:3", b"b:2", b"warn:1", b"a:4"]


def read(content: bytes, _: datetime) -> Read:
    """A line is its key, and what it says; it is bad, or to be warned of."""
    key = content.decode().partition(":")[0]
    if key == "bad":
        return Read(Result(Status.REJECTED, None, "event-invalid", "bad"))
    return Read(Result(Status.WARNING if key == "warn" else Status.OK), key, content)


class Kafka:
    """Keeps what it acknowledges. `away`: so many more times it does not."""

    def __init__(self, away: int = 0) -> None:
        self.taken: list[bytes] = []
        self.away = away

    async def publish(self, topic: str, key: str, bodies: Sequence[bytes]) -> Position:
        if self.away:
            self.away -= 1
            raise KafkaUnavailable("away")
        self.taken += bodies
        return Position(topic, 0, len(self.taken))


class Notes:
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.done = NOTHING
        self.saved = 0

    async def save(self, place: Place, before: Done, done: Done) -> None:
        assert self.done in (before, NOTHING)
        self.done = done
        self.saved += 1


class Run:
    """A request, and what came of it."""

    def __init__(self, kafka: Kafka | None = None, before: Done = NOTHING, bounds: Bounds = BOUNDS) -> None:
        self.kafka = kafka or Kafka()
        self.notes = Notes()
        self.answers: list[dict[str, Any]] = []
        self.taking = Taking(
            reader=read,
            limits=Limits.of(Settings()),
            bounds=bounds,
            publisher=self.kafka,
            progress=self.notes,
            place=Place.of("importer", "key"),
            clock=lambda: NOW,
            before=before,
        )

    async def of(self, *pieces: bytes) -> "Run":
        """Have a body taken. Raises what its taking does, after it was answered as far as it was."""

        async def arriving() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece
                yield b""

        outlet = Outlet()
        try:
            await self.taking.run(arriving(), outlet)
        finally:
            outlet.close() if outlet.has_begun else None
            if outlet.has_begun:
                await outlet.write(self._send, {"type": "start"})
        return self

    async def _send(self, message: Message) -> None:
        self.answers += [msgspec.json.decode(line) for line in message.get("body", b"").splitlines()]

    @property
    def statuses(self) -> list[tuple[int, str]]:
        return [(answer["line"], answer["status"]) for answer in self.answers]


def body(lines: Sequence[bytes] = LINES) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def done(count: int, *, is_whole: bool = False) -> Done:
    """As a request notes that has done so many of LINES."""
    splitter = Splitter(1_000)
    list(splitter.feed(body(LINES[:count])))
    return Done(lines=count, accepted=count, digest=splitter.digest(), is_whole=is_whole)


async def test_each_line_is_answered_and_what_is_good_is_recorded() -> None:
    run = await Run().of(body())
    ok = [(number, "ok") for number in (1, 2, 4, 6, 7, 9)]
    assert run.statuses == sorted([*ok, (5, "rejected"), (8, "warning")])
    assert sorted(run.kafka.taken) == sorted(line for line in LINES if line not in (b"", b"bad"))
    assert run.notes.done == Done(9, accepted=7, warnings=1, rejected=1, digest=done(9).digest, is_whole=True)
    assert run.taking.summary() == run.taking.summary(problem=None)


async def test_events_of_a_key_are_recorded_in_their_order() -> None:
    run = await Run().of(body())
    assert [line for line in run.kafka.taken if line.startswith(b"a")] == [b"a:1", b"a:2", b"a:3", b"a:4"]


@pytest.mark.parametrize("count", range(1, 10))
async def test_what_was_done_is_not_recorded_again(count: int) -> None:
    run = await Run(before=done(count)).of(body())
    assert sorted(run.kafka.taken) == sorted(line for line in LINES[count:] if line not in (b"", b"bad"))
    duplicates = [number for number, status in run.statuses if status == "duplicate"]
    assert duplicates == [number for number, line in enumerate(LINES[:count], 1) if line not in (b"", b"bad")]
    assert (5, "rejected") in run.statuses
    assert (run.notes.done.lines, run.notes.done.is_whole) == (9, True)


async def test_a_request_that_was_done_to_its_end_changes_nothing() -> None:
    run = await Run(before=done(9, is_whole=True)).of(body())
    assert run.kafka.taken == []
    assert run.notes.done == NOTHING
    assert run.taking.counts.duplicates == 7


OTHERS = [
    (3, False, [b"a:1", b"other", b"", *LINES[3:]]),
    (9, True, [*LINES, b"more"]),
    (9, True, LINES[:-1]),
    (5, False, LINES[:4]),
    (5, False, []),
]


@pytest.mark.parametrize(("count", "is_whole", "lines"), OTHERS)
async def test_other_lines_are_refused_before_anything_is_answered(
    count: int, is_whole: bool, lines: list[bytes]
) -> None:
    run = Run(before=done(count, is_whole=is_whole))
    with pytest.raises(IdempotencyKeyReused):
        await run.of(*(line + b"\n" for line in lines))
    assert run.answers == []
    assert run.kafka.taken == []


async def test_kafka_is_tried_again_before_anybody_is_told() -> None:
    run = await Run(Kafka(away=2)).of(body())
    assert "retry" not in {status for _, status in run.statuses}
    assert run.notes.done.is_whole


async def test_what_kafka_does_not_take_is_to_be_sent_again_and_not_done() -> None:
    run = Run(Kafka(away=1_000))
    with pytest.raises(KafkaUnavailable):
        await run.of(body())
    assert run.statuses == [(1, "retry"), (2, "retry"), (4, "retry"), (5, "rejected")]
    assert run.notes.done == NOTHING
    assert run.taking.summary(problem="kafka-unavailable").lines == 0


async def test_lines_up_to_the_most_that_are_taken_are_done() -> None:
    few = Bounds(max_events=6, batch_lines=4, batch_max_bytes=1_000, produce_max_tries=1, retry_after_s=0)
    run = Run(bounds=few)
    with pytest.raises(BackfillTooLong, match="line 7"):
        await run.of(body())
    assert [number for number, _ in run.statuses] == [1, 2, 4, 5, 6]
    assert run.notes.done.lines == 6


async def test_a_batch_is_bounded_in_bytes_too() -> None:
    small = Bounds(max_events=20, batch_lines=20, batch_max_bytes=6, produce_max_tries=1, retry_after_s=0)
    run = await Run(Kafka(), bounds=small).of(body())
    assert [line for line in run.kafka.taken if line.startswith(b"a")] == [b"a:1", b"a:2", b"a:3", b"a:4"]
    assert run.notes.saved > 3
