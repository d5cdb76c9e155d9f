"""Dead letters that are tried again: for the views that did not take them, once, beside what is new."""

from typing import Any

import pytest

from events import playback as p
from events.envelope import Envelope, Event, encode
from projections.engine import Engine
from projections.errors import StoreUnavailable
from projections.operations.staff_actions import StaffActions
from projections.slabs import Checkpoint, Partition
from projections.stores.memory import AnyView, MemoryStore
from tests.builders import dead_letter_retried, reported
from tests.projections.folds import PLAYBACK_0, FakeLetters, record, slab
from tests.projections.test_engine import RefusingStore, Running, Tallies, heartbeats

OPERATIONS_0 = Partition("operations.events", 0)


class Retrying(Running):
    """An engine whose letters somebody has tried again."""

    def __init__(self, *views: AnyView, store: MemoryStore | None = None) -> None:
        super().__init__([*views], store)
        self.store.held[OPERATIONS_0] = Checkpoint(0, -1)

    async def retry(self, offset: int = 0, **changes: Any) -> None:
        await self.apply(slab(OPERATIONS_0, [record(offset, asked(**changes), position=offset)]))

    @property
    def applied(self) -> list[tuple[int, int]]:
        """Offsets and attempts."""
        return [(retry.record.offset, retry.attempt) for retry in self.letters.applied_again]


def asked(event: Envelope[Event] | None = None, **changes: Any) -> Envelope[Event]:
    """A retry of a heartbeat, of the first partition of playback, in the store of these tests."""
    body = encode(event or reported(p.Heartbeat, 2))
    return dead_letter_retried(**{"projection": "memory", "partition": 0, "offset": 2, "body": body, **changes})


async def test_a_record_is_given_to_the_views_that_did_not_take_it_and_to_no_other() -> None:
    running = Retrying(Tallies("took"), Tallies("failed"))
    await running.apply(heartbeats(0, 5))
    await running.retry(views=("failed",))
    assert (running.counted("took"), running.counted("failed"), running.applied) == (5, 6, [(2, 1)])


async def test_of_a_record_that_nobody_could_read_all_views_are_given() -> None:
    running = Retrying(Tallies("one"), Tallies("other"))
    await running.retry()
    assert (running.counted("one"), running.counted("other")) == (1, 1)


async def test_a_retry_that_is_delivered_again_is_applied_once() -> None:
    running = Retrying(Tallies())
    await running.retry()
    await running.retry()
    assert (running.counted(), running.applied) == (1, [(2, 1)])


async def test_a_retry_that_is_lost_on_the_way_is_applied_with_its_checkpoint_or_not_at_all() -> None:
    class Cut(FakeLetters):
        async def applied(self, *_: object) -> None:
            raise StoreUnavailable("Kafka is away")

    running = Retrying(Tallies())
    whole = running.engine
    running.engine = Engine[AnyView](running.store, [Tallies()], Cut())
    with pytest.raises(StoreUnavailable):
        await running.retry()
    assert (running.counted(), running.store.held[OPERATIONS_0]) == (0, Checkpoint(0, -1))
    running.engine = whole
    await running.retry()
    assert running.counted() == 1


async def test_a_retry_moves_no_checkpoint_of_the_records_own_partition() -> None:
    running = Retrying(Tallies())
    await running.apply(heartbeats(0, 5))
    await running.retry()
    assert running.store.held[PLAYBACK_0] == Checkpoint(5, 4)
    assert running.store.held[OPERATIONS_0] == Checkpoint(1, 0)


async def test_another_stores_retry_is_not_ours() -> None:
    running = Retrying(Tallies())
    await running.retry(projection="redis")
    assert (running.counted(), running.applied) == (0, [])


async def test_what_fails_again_is_the_same_letter_with_its_attempt() -> None:
    running = Retrying(Tallies(refuses=2), Tallies("fine"))
    await running.retry(attempt=3, views=("tallies",))
    [(_, letter)] = running.letters.sent
    assert (letter.partition, letter.record.offset, letter.reason) == (PLAYBACK_0, 2, "fold_failed")
    assert (letter.views, letter.attempt, running.applied, running.counted("fine")) == (("tallies",), 3, [], 0)


@pytest.mark.parametrize(("body", "reason"), [(b"{", "undecodable"), (b'{"specversion":"1.0"}', "undecodable")])
async def test_what_still_cannot_be_read_is_a_letter_again(body: bytes, reason: str) -> None:
    running = Retrying(Tallies())
    await running.retry(body=body)
    [(_, letter)] = running.letters.sent
    assert (letter.reason, letter.attempt, letter.views, running.applied) == (reason, 1, (), [])


async def test_what_the_store_refuses_again_is_a_letter_of_that_view_and_the_retry_itself_is_kept() -> None:
    store = RefusingStore(lambda view, _: view == "tallies")
    running = Retrying(Tallies(), StaffActions(), store=store)
    await running.retry()
    [(_, letter)] = running.letters.sent
    assert (letter.partition, letter.record.offset, letter.reason) == (PLAYBACK_0, 2, "store_refused")
    assert (letter.views, letter.attempt, running.applied) == (("tallies",), 1, [])
    assert running.store.held[OPERATIONS_0] == Checkpoint(1, 0)


async def test_a_retry_beside_new_records_of_its_key_is_applied_with_them() -> None:
    running = Retrying(Tallies())
    retry = slab(OPERATIONS_0, [record(0, asked(), position=0)])
    await running.apply(heartbeats(0, 3), retry)
    assert (running.counted(), running.store.rounds) == (4, 1)


async def test_a_letter_names_the_views_that_did_not_take_its_record() -> None:
    running = Running([Tallies("fine"), Tallies("one", refuses=1), Tallies("other", refuses=1)])
    await running.apply(heartbeats(0, 3))
    [(_, letter)] = running.letters.sent
    assert letter.views == ("one", "other")
