"""The engine: applies slabs of records to the views of one store, exactly once, whatever else goes wrong.

decode once -> drop what the checkpoint says is applied -> for each view load the rows, fold, write -> move the
checkpoint. It knows neither Faust nor a store; what runs it feeds it slabs and places partitions anew where it says.
"""

from collections.abc import Mapping, Sequence
from typing import Generic

import msgspec
from msgspec import structs

from events.topics import DEAD_LETTERS
from infra.clock import Clock, monotonic_s, utc_now
from infra.telemetry import log
from projections import metrics
from projections.errors import RecordRefused
from projections.intake import Intake, V
from projections.letters import Letter, Letters, Reason
from projections.retries import Retry, retries_in
from projections.slabs import Checkpoint, Partition, Slab, Taken
from projections.store import Ready, Round, Store

_LETTER_TOPICS = frozenset(topic.name for topic in DEAD_LETTERS)


class Applied(msgspec.Struct, frozen=True):
    """What a batch came to. `gaps`: partitions that must be read from their checkpoint, as something is missing."""

    checkpoints: Mapping[Partition, Checkpoint]
    gaps: frozenset[Partition] = frozenset()

    def then(self, later: "Applied") -> "Applied":
        """This and what came after it, as one."""
        return Applied({**self.checkpoints, **later.checkpoints}, self.gaps | later.gaps)


class Engine(Generic[V]):
    """Applies slabs to a store's views. One call of apply() at a time. `takes_replays`: what is marked as a replay is a
    fact here, see settings.replays_applied.
    """

    def __init__(
        self,
        store: Store[V],
        views: Sequence[V],
        letters: Letters,
        clock: Clock = utc_now,
        *,
        takes_replays: bool = False,
    ) -> None:
        self._takes_replays = takes_replays
        self._clock = clock
        self._store = store
        self._views = views
        self._letters = letters

    async def apply(self, slabs: Sequence[Slab]) -> Applied:
        """Apply slabs in one round, or in as many as it takes to have a record alone that the store refuses.

        Raises StoreUnavailable and StoreEmptied; records that were not applied by then are to be given again.
        """
        try:
            return await self._round(slabs, {})
        except RecordRefused as refusal:
            log.warning("store refuses a record", projection=self._store.name, error=str(refusal))
        if len(slabs) > 1:
            middle = len(slabs) // 2
            first, second = slabs[:middle], slabs[middle:]
        elif len(slabs[0].records) > 1:
            first, second = ([half] for half in slabs[0].halves())
        else:
            return await self._isolate(slabs[0])
        applied = await self.apply(first)
        return applied.then(await self.apply(second))

    async def _isolate(self, slab: Slab) -> Applied:
        """Apply a single record to every view that takes it; it is set aside for those that refuse it."""
        refusals: dict[str, str] = {}
        while True:
            try:
                return await self._round([slab], refusals)
            except RecordRefused as refusal:
                if refusal.view in refusals:
                    raise
                refusals[refusal.view] = refusal.detail

    async def _round(self, slabs: Sequence[Slab], refusals: Mapping[str, str]) -> Applied:
        began_s = monotonic_s()
        retries = retries_in(slabs, self._store.name)
        sources = {retry.partition for retry in retries.values()}
        begun = await self._store.checkpoints(sources) if sources else {}
        ours = {slab.partition for slab in slabs}
        async with self._store.round() as round_:
            # The checkpoints of records that are tried again are locked, and not moved.
            held = await round_.checkpoints(ours | begun.keys())
            before = {partition: held[partition] for partition in ours}
            intake = Intake(self._views, before, retries, takes_replays=self._takes_replays)
            for slab in slabs:
                intake.take(slab)
            ready = await _folded(round_, intake, refusals)
            letters = merged([*intake.letters, *_failures(ready), *_refusals(slabs, intake, refusals)])
            if letters:
                await self._set_aside(letters)
            rows = {view.name: await one.save() for view, one in ready}
            if intake.retried:
                await self._tell_applied(intake.retried, letters)
            if intake.after != before:
                await round_.move(before, intake.after)
        self._count(intake, rows, monotonic_s() - began_s)
        return Applied(intake.after, frozenset(intake.gaps))

    async def _set_aside(self, letters: Sequence[Letter]) -> None:
        """Have the letters safe before the checkpoint moves past their records."""
        for letter in letters:
            log.error(
                "record set aside",
                projection=self._store.name,
                **letter.partition._asdict(),
                offset=letter.record.offset,
                reason=letter.reason,
                detail=letter.detail,
            )
        # A letter that cannot be read itself is only logged: there is no dead-letter topic of dead letters.
        sent = [letter for letter in letters if letter.partition.topic not in _LETTER_TOPICS]
        if sent:
            await self._letters.send(self._store.name, sent)
        for letter in letters:
            metrics.DEAD_LETTERS.labels(self._store.name, letter.partition.topic, letter.reason).inc()

    async def _tell_applied(self, retried: Sequence[Retry], letters: Sequence[Letter]) -> None:
        """Say of each retry that it was applied, unless it became a letter again. Said before the checkpoint moves, so
        that it is never left out; should the round be done again and fail, the letter comes after it and stands.
        """
        failed = {_place_of(letter) for letter in letters}
        applied = [retry for retry in retried if (retry.partition, retry.record.offset, retry.attempt) not in failed]
        if applied:
            await self._letters.applied(self._store.name, applied)
        for retry in retried:
            outcome = "applied" if retry in applied else "failed"
            metrics.RETRIED.labels(self._store.name, retry.partition.topic, outcome).inc()

    def _count(self, intake: Intake[V], rows: Mapping[str, int], took_s: float) -> None:
        projection = self._store.name
        for topic, count in intake.counts.items():
            metrics.RECORDS.labels(projection, topic).inc(count)
        for view, count in rows.items():
            metrics.ROWS.labels(projection, view).inc(count)
        metrics.BATCH_SECONDS.labels(projection).observe(took_s)
        metrics.BATCH_RECORDS.labels(projection).observe(sum(intake.counts.values()))
        self._count_times(intake, projection)

    def _count_times(self, intake: Intake[V], projection: str) -> None:
        now_s = self._clock().timestamp()
        metrics.CHECKPOINT.labels(projection).set(now_s)
        for topic, times in intake.taken_at.items():
            metrics.NEWEST.labels(projection, topic).set(max(times).timestamp())
            for first_at in times[::2]:
                metrics.FRESHNESS_SECONDS.labels(projection, topic).observe(max(now_s - first_at.timestamp(), 0.0))


async def _folded(round_: Round[V], intake: Intake[V], refusals: Mapping[str, str]) -> list[tuple[V, Ready]]:
    return [
        (view, await round_.fold(view, taken)) for view, taken in intake.by_view if taken and view.name not in refusals
    ]


def _failures(ready: Sequence[tuple[V, Ready]]) -> list[Letter]:
    """A letter for each record and view whose fold raised."""
    return [
        _letter_of(taken, Reason.FOLD_FAILED, view.name, error) for view, one in ready for taken, error in one.failed
    ]


def _refusals(slabs: Sequence[Slab], intake: Intake[V], refusals: Mapping[str, str]) -> list[Letter]:
    """A letter for each view whose store refused the only record of a round: what it was given last, which of a retry
    is the record that was set aside.
    """
    given = {view.name: taken[-1] for view, taken in intake.by_view if taken}
    return [
        _letter_of(given[view], Reason.STORE_REFUSED, view, said)
        if view in given
        else Letter(slabs[0].partition, slabs[0].records[0], Reason.STORE_REFUSED, f"{view}: {said}", (view,))
        for view, said in refusals.items()
    ]


def _letter_of(taken: Taken, reason: Reason, view: str, said: str) -> Letter:
    return Letter(taken.partition, taken.record, reason, f"{view}: {said}", (view,), taken.attempt)


def _place_of(letter: Letter) -> tuple[Partition, int, int]:
    return letter.partition, letter.record.offset, letter.attempt


def merged(letters: Sequence[Letter]) -> list[Letter]:
    """One letter for each record, whatever number of views did not take it."""
    by_place: dict[tuple[Partition, int, int], Letter] = {}
    for letter in letters:
        first = by_place.get(_place_of(letter))
        by_place[_place_of(letter)] = letter if first is None else _both(first, letter)
    return list(by_place.values())


def _both(first: Letter, other: Letter) -> Letter:
    return structs.replace(first, detail=f"{first.detail}; {other.detail}", views=(*first.views, *other.views))
