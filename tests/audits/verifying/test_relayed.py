"""Records that are not what the log's rows say are found, and named for what was done to them."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from audits.verifying.findings import Finding, Kind, Store
from audits.verifying.relayed import Expected, Found, Relayed

POSITIONS = [2, 3, 5, 8, 9, 10, 12, 13, 14, 20]
"""Of one topic: a log partition's other positions are of other topics."""
ROWS = [
    Expected(position, f"event-{position}", b"stream-%d" % (position % 3), sha256(b"body %d" % position).digest())
    for position in POSITIONS
]
RECORDS = [Found(offset, row.position, row.key, b"body %d" % row.position) for offset, row in enumerate(ROWS)]
INDEXES = st.integers(0, len(ROWS) - 1)


def found_in(records: list[Found], cut: int = 4, *, relayed_to: int = 20) -> list[Finding]:
    """What is found in records that come in two batches."""
    check, found, given_rows = Relayed(Store.KAFKA, "catalog.events", 1), list[Finding](), 0
    for batch in (records[:cut], records[cut:]):
        highest = max((record.position or 0 for record in batch), default=0)
        rows = [row for row in ROWS[given_rows:] if row.position <= highest]
        given_rows += len(rows)
        found += check.take(rows, batch)
    found += check.take(ROWS[given_rows:], [])
    return found + list(check.missing(relayed_to, truncated=True))


@given(cut=INDEXES)
def test_of_what_was_relayed_as_it_was_recorded_nothing_is_said(cut: int) -> None:
    assert found_in(RECORDS, cut) == []


@given(cut=INDEXES, again=st.integers(0, 6))
def test_what_a_relay_repeated_is_no_finding(cut: int, again: int) -> None:
    repeated = [record._replace(offset=7 + number) for number, record in enumerate(RECORDS[again:])]
    assert found_in(RECORDS[:7] + repeated, cut) == []


@given(index=INDEXES, cut=INDEXES)
def test_a_flipped_value_and_a_changed_key_are_named(index: int, cut: int) -> None:
    records = list(RECORDS)
    records[index] = records[index]._replace(value=b"body!")
    (found,) = found_in(records, cut)
    assert (found.kind, found.what, found.offset, found.position) == (Kind.FLIPPED, "value", index, POSITIONS[index])
    assert found.event_id == f"event-{POSITIONS[index]}"
    records[index] = RECORDS[index]._replace(key=b"other")
    (found,) = found_in(records, cut)
    assert (found.kind, found.what, found.offset) == (Kind.FLIPPED, "key", index)


@given(index=st.integers(0, len(ROWS) - 2), cut=INDEXES)
def test_a_removed_record_is_named_by_its_position(index: int, cut: int) -> None:
    (found,) = found_in(RECORDS[:index] + RECORDS[index + 1 :], cut)
    assert (found.kind, found.position, found.last) == (Kind.REMOVED, POSITIONS[index], POSITIONS[index])


def test_a_tail_that_was_cut_off_is_truncated_up_to_where_the_relay_was() -> None:
    found = found_in(RECORDS[:7], relayed_to=14)
    assert [(each.kind, each.position, each.last) for each in found] == [(Kind.TRUNCATED, 13, 14)]
    assert found_in(RECORDS[:7], relayed_to=12) == []


@given(index=INDEXES, cut=INDEXES)
def test_an_inserted_record_is_named_by_its_offset(index: int, cut: int) -> None:
    for position in (None, 4, 99):
        put_in = Found(777, position, b"stream-1", b"body 4")
        (found,) = found_in([*RECORDS[:index], put_in, *RECORDS[index:]], cut)
        assert (found.kind, found.offset, found.position) == (Kind.INSERTED, 777, position)


@given(index=st.integers(1, len(ROWS) - 1), cut=INDEXES)
def test_another_event_under_a_position_that_was_before_is_inserted(index: int, cut: int) -> None:
    put_in = RECORDS[index - 1]._replace(offset=777, value=b"other")
    (found,) = found_in([*RECORDS[:index], put_in, *RECORDS[index:]], cut)
    assert (found.kind, found.offset) == (Kind.INSERTED, 777)


@given(first=st.integers(0, 6), apart=st.integers(1, 3), cut=INDEXES)
def test_swapped_records_are_named(first: int, apart: int, cut: int) -> None:
    records, second = list(RECORDS), first + apart
    records[first], records[second] = records[second], records[first]
    assert {found.kind for found in found_in(records, cut)} == {Kind.SWAPPED}


@given(first=st.integers(0, 6), apart=st.integers(1, 3))
def test_events_swapped_under_their_positions_are_named(first: int, apart: int) -> None:
    records, second = list(RECORDS), first + apart
    records[first] = RECORDS[first]._replace(value=RECORDS[second].value)
    records[second] = RECORDS[second]._replace(value=RECORDS[first].value)
    found = found_in(records, len(records))
    assert [each.kind for each in found] == [Kind.SWAPPED, Kind.SWAPPED]
    assert found[0].found == f"the event of position {POSITIONS[second]}"


def test_each_of_many_changes_is_found() -> None:
    records = list(RECORDS)
    records[1] = records[1]._replace(value=b"?")
    del records[4]
    records.insert(6, Found(777, None, None, None))
    assert [each.kind for each in found_in(records)] == [Kind.FLIPPED, Kind.INSERTED, Kind.REMOVED]
