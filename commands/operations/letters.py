"""Commands about dead letters, one or many: the letters are read from their view, and what is decided is recorded."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import asyncpg
import msgspec

from commands.handling import Handling, Outcome, Target, Terms
from commands.operations.decider import DEAD_LETTER, DiscardDeadLetter, RetryDeadLetter
from commands.operations.refusals import DeadLetterLate, DeadLetterNotRetriable, DeadLetterUnknown
from events.envelope import decode
from events.operations import DeadLetterRetried
from events.refusals import Refusal
from events.topics import TOPICS, Lane
from infra.postgres import Pool

PROJECTIONS: Final = frozenset({"postgres", "cassandra", "redis"})
LANES: Final = {topic.name: topic.lane for topic in TOPICS}
READ: Final = "select * from dead_letters where letter_id = $1"
NEWEST: Final = "select max(version) from event_log where stream_id = $1"
OPEN: Final = """
    select letter_id from dead_letters left join operations_dead_letter_decisions as decided using (letter_id)
    where applied_attempt is null and not coalesce(decided.is_discarded, false)
      and coalesce(decided.retries, 0) <= attempt
      and ($1::text is null or projection = $1) and ($2::text is null or topic = $2)
      and ($3::text is null or dead_letters.reason = $3)
    order by recorded_at, letter_id limit $4
"""


class Which(NamedTuple):
    """Which open letters are meant: those of a projection, of a topic, set aside for a reason; None is any."""

    projection: str | None = None
    topic: str | None = None
    reason: str | None = None


class Decided(NamedTuple):
    """How the command of one of many letters ended."""

    letter_id: str
    outcome: Outcome | None
    refusal: Refusal | None


@dataclass(frozen=True)
class Letters:
    """The dead letters of an installation, as commands see them."""

    pool: Pool
    handling: Handling

    async def retry(self, letter_id: str, terms: Terms, *, reason: str | None = None, force: bool = False) -> Outcome:
        """Have a record tried again. Raises DeadLetterUnknown, DeadLetterNotRetriable, DeadLetterLate, and what is
        decided; `force`: even if its stream has later events.
        """
        row = await self._row(letter_id)
        if not force:
            await self._check_order(row)
        command = RetryDeadLetter(
            retried=_retried(row, reason), failed_attempt=row["attempt"], is_applied=row["applied_attempt"] is not None
        )
        return await self.handling.handle(command, decider=DEAD_LETTER, target=_target(letter_id), terms=terms)

    async def discard(self, letter_id: str, terms: Terms, *, reason: str) -> Outcome:
        """Have a record tried never again. Raises DeadLetterUnknown, DeadLetterIsApplied."""
        row = await self._row(letter_id)
        is_applied = row["applied_attempt"] is not None
        command = DiscardDeadLetter(letter_id=letter_id, reason=reason, is_applied=is_applied)
        return await self.handling.handle(command, decider=DEAD_LETTER, target=_target(letter_id), terms=terms)

    async def open(self, which: Which, limit: int) -> Sequence[str]:
        """The ids of letters that nobody has tried again or discarded since they failed, the oldest first."""
        return [row["letter_id"] for row in await self.pool.fetch(OPEN, *which, limit)]

    async def retry_all(
        self, letter_ids: Sequence[str], terms: Terms, *, reason: str | None = None, force: bool = False
    ) -> AsyncIterator[Decided]:
        """Have many tried again, one after the other; one that is refused does not stop the rest."""
        for letter_id in letter_ids:
            try:
                yield Decided(letter_id, await self.retry(letter_id, terms, reason=reason, force=force), None)
            except Refusal as refusal:
                yield Decided(letter_id, None, refusal)

    async def discard_all(self, letter_ids: Sequence[str], terms: Terms, *, reason: str) -> AsyncIterator[Decided]:
        """Discard many, one after the other."""
        for letter_id in letter_ids:
            try:
                yield Decided(letter_id, await self.discard(letter_id, terms, reason=reason), None)
            except Refusal as refusal:
                yield Decided(letter_id, None, refusal)

    async def _row(self, letter_id: str) -> asyncpg.Record:
        row = await self.pool.fetchrow(READ, letter_id)
        if row is None:
            raise DeadLetterUnknown(
                f"nothing was set aside as {letter_id!r}; a letter is named projection/topic/partition/offset"
            )
        return row

    async def _check_order(self, row: asyncpg.Record) -> None:
        """Raises DeadLetterLate unless the record is the newest of its stream, where order matters."""
        if LANES.get(row["topic"]) is not Lane.LOG:
            return
        try:
            envelope = decode(row["body"])
        except msgspec.MsgspecError:
            envelope = None
        if envelope is None or envelope.sequence != await self.pool.fetchval(NEWEST, envelope.subject):
            raise DeadLetterLate(
                f"{row['letter_id']} is not the newest event of its stream, or cannot be told to be: applied now, its "
                "views may say what is no longer so. Rebuild them (playhead views rebuild), or force it"
            )


def _target(letter_id: str) -> Target:
    return Target(letter_id, f"operations.dead_letter-{letter_id}")


def _retried(row: asyncpg.Record, reason: str | None) -> DeadLetterRetried:
    """Raises DeadLetterNotRetriable."""
    if row["projection"] not in PROJECTIONS:
        raise DeadLetterNotRetriable(f"{row['letter_id']} is of no projection, but of {row['projection']}: discard it")
    if row["body_left"] or (not row["body"] and "left in the topic" in row["detail"]):
        raise DeadLetterNotRetriable(f"the body of {row['letter_id']} is too large for a letter: rebuild its views")
    return DeadLetterRetried(
        letter_id=row["letter_id"],
        projection=row["projection"],
        topic=row["topic"],
        partition=row["partition"],
        offset=row["offset"],
        attempt=0,
        views=msgspec.json.decode(row["views"], type=tuple[str, ...]),
        headers=msgspec.json.decode(row["headers"], type=tuple[tuple[str, bytes], ...]),
        body=row["body"],
        reason=reason,
    )
