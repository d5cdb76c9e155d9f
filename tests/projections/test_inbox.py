"""What waits for the engine stays within what the settings allow, however large its records are."""

from hypothesis import given
from hypothesis import strategies as st

from projections.inbox import Inbox
from projections.slabs import Slab, runs
from tests.projections.folds import PLAYBACK_0, FakeRecord


def slab(*sizes: int) -> Slab:
    return Slab(PLAYBACK_0, 0, [FakeRecord(at, b"x" * size) for at, size in enumerate(sizes)])


def test_there_is_room_until_as_many_records_wait_as_are_applied_at_once() -> None:
    inbox = Inbox(3, 1_000)
    inbox.put(slab(1, 1))
    assert inbox.has_room
    inbox.put(slab(1))
    assert not inbox.has_room


def test_there_is_no_room_while_as_many_bytes_wait_as_are_applied_at_once() -> None:
    inbox = Inbox(3, 1_000)
    inbox.put(slab(1_000))
    assert not inbox.has_room
    assert [len(each.records) for each in inbox.take()] == [1]
    assert inbox.has_room


@given(sizes=st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=5), max_size=20))
def test_it_gives_everything_in_order_within_its_limits_unless_a_slab_alone_is_beyond_them(
    sizes: list[list[int]],
) -> None:
    inbox, taken = Inbox(6, 60), []
    for each in sizes:
        inbox.put(slab(*each))
    while batch := inbox.take():
        assert len(batch) == 1 or sum(len(each.records) for each in batch) <= 6
        assert len(batch) == 1 or sum(each.size for each in batch) <= 60
        taken += batch
    assert [[len(record.value or b"") for record in each.records] for each in taken] == sizes
    assert inbox.records == inbox.bytes == 0 and inbox.has_room


@given(sizes=st.lists(st.integers(0, 50), min_size=1, max_size=30))
def test_records_are_cut_into_runs_within_limits_unless_one_alone_is_beyond_them(sizes: list[int]) -> None:
    records = slab(*sizes).records
    cut = list(runs(records, 4, 60))
    assert [record for run in cut for record in run] == list(records)
    assert all(len(run) <= 4 for run in cut)
    assert all(len(run) == 1 or sum(len(record.value or b"") for record in run) <= 60 for run in cut)
