"""What is done to a log partition is found, and named for what it is."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.verifying.chain import Row
from audits.verifying.findings import Finding, Kind
from tests.audits.verifying.chains import body_of, examined, hash_of, partition, rechained, row_of

COUNT = 60
WHOLE = partition(COUNT)
INDEXES = st.integers(1, COUNT - 20)
BATCHES = st.sampled_from([17, 20, 33, 1_000])


def told(found: list[Finding]) -> list[tuple[Kind, str, int | None]]:
    return [(finding.kind, finding.what, finding.position) for finding in found]


@given(count=st.integers(0, COUNT), batch=BATCHES)
def test_of_what_nobody_touched_nothing_is_said(count: int, batch: int) -> None:
    assert examined(WHOLE[:count], batch) == []


@given(data=st.data(), index=INDEXES, batch=BATCHES)
def test_one_flipped_bit_of_a_body_is_found_where_it_is(data: st.DataObject, index: int, batch: int) -> None:
    rows = list(WHOLE)
    body = bytearray(rows[index].body)
    bit = data.draw(st.integers(0, len(body) * 8 - 1))
    body[bit // 8] ^= 1 << bit % 8
    rows[index] = rows[index]._replace(body=bytes(body))
    (found,) = examined(rows, batch)
    assert (found.kind, found.what, found.position) == (Kind.FLIPPED, "body", index + 1)
    assert (found.event_id, found.expected) == (str(UUID(int=index + 1)), rows[index].digest.hex())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("event_id", str(UUID(int=999))),
        ("stream_id", "catalog.series-9"),
        ("version", 77),
        ("type", "catalog.SeasonRemoved.v1"),
        ("recorded_at", WHOLE[30].recorded_at + timedelta(microseconds=1)),
    ],
)
def test_a_changed_column_is_named(column: str, value: object) -> None:
    rows = list(WHOLE)
    rows[30] = rows[30]._replace(**{column: value})  # type: ignore[arg-type]  # of the column's type
    (found,) = examined(rows)
    assert (found.kind, found.what, found.position) == (Kind.FLIPPED, f"column {column}", 31)
    assert found.expected == str(getattr(WHOLE[30], column))


@given(index=INDEXES, batch=BATCHES)
def test_a_changed_digest_or_hash_is_told_from_a_changed_body(index: int, batch: int) -> None:
    rows = list(WHOLE)
    rows[index] = rows[index]._replace(digest=bytes(32))
    assert told(examined(rows, batch)) == [(Kind.FLIPPED, "digest", index + 1)]
    rows[index] = WHOLE[index]._replace(hash=bytes(32))
    (found,) = examined(rows, batch)
    assert (found.kind, found.position, found.expected) == (Kind.FLIPPED, index + 1, WHOLE[index].hash.hex())


@given(index=INDEXES, batch=BATCHES)
def test_a_body_with_its_digest_written_anew_does_not_fit_the_chain(index: int, batch: int) -> None:
    rows = list(WHOLE)
    other = row_of(index + 1, body_of(500 + index), rows[index - 1].hash)
    rows[index] = other._replace(hash=rows[index].hash)
    (found,) = examined(rows, batch)
    assert (found.kind, found.position) == (Kind.FLIPPED, index + 1)
    rows[index] = other
    (found,) = examined(rows, batch)
    assert (found.kind, found.position) == (Kind.FLIPPED, index + 2)
    assert found.what == "body with digest, or hash, or all of the row before"


@given(index=INDEXES, count=st.integers(1, 12), batch=BATCHES)
def test_removed_events_are_named_by_their_positions(index: int, count: int, batch: int) -> None:
    (found,) = examined(WHOLE[:index] + WHOLE[index + count :], batch)
    assert (found.kind, found.position, found.last) == (Kind.REMOVED, index + 1, index + count)


@given(index=INDEXES, count=st.integers(1, 8), batch=BATCHES)
def test_events_removed_with_the_rest_counted_anew_are_found_once(index: int, count: int, batch: int) -> None:
    rest = [row._replace(position=row.position - count) for row in WHOLE[index + count :]]
    (found,) = examined(WHOLE[:index] + rest, batch)
    assert (found.kind, found.position) == (Kind.REMOVED, index + 1)
    assert found.found == f"{count} before it, with those after counted anew"


@given(index=INDEXES, count=st.integers(1, 8), batch=BATCHES)
def test_inserted_events_are_named_and_those_after_them_hold(index: int, count: int, batch: int) -> None:
    put_in = list[Row]()
    for position in range(index + 1, index + 1 + count):
        put_in.append(row_of(position, body_of(500 + position), (put_in or WHOLE[:index])[-1].hash))
    rest = [row._replace(position=row.position + count) for row in WHOLE[index:]]
    found = examined([*WHOLE[:index], *put_in, *rest], batch)
    assert told(found) == [(Kind.INSERTED, "event", row.position) for row in put_in]


@given(first=INDEXES, apart=st.integers(1, 12), hashes_too=st.booleans())
def test_two_swapped_events_are_one_finding(first: int, apart: int, hashes_too: bool) -> None:
    rows, second = list(WHOLE), first + apart
    one, two = rows[first], rows[second]
    kept = ("position",) if hashes_too else ("position", "hash")
    rows[first] = two._replace(**{name: getattr(one, name) for name in kept})
    rows[second] = one._replace(**{name: getattr(two, name) for name in kept})
    (found,) = examined(rows)
    assert (found.kind, found.position, found.found) == (Kind.SWAPPED, first + 1, f"with position {second + 1}")


def test_each_of_many_changes_is_found() -> None:
    rows = list(WHOLE)
    rows[5] = rows[5]._replace(body=rows[5].body + b" ")
    rows[10], rows[11] = rows[11]._replace(position=11), rows[10]._replace(position=12)
    rows[20] = rows[20]._replace(type="x.Y.v1")
    rows = [*rows[:30], *rows[31:]]
    kinds = [(finding.kind, finding.position) for finding in examined(rows)]
    assert kinds == [(Kind.FLIPPED, 6), (Kind.SWAPPED, 11), (Kind.FLIPPED, 21), (Kind.REMOVED, 31)]


def test_a_chain_that_was_made_anew_holds_by_itself() -> None:
    rows = list(WHOLE)
    rows[5] = row_of(6, body_of(500), rows[4].hash)
    assert examined(rechained(rows, 5)) == []
    assert rechained(WHOLE, 0) == WHOLE
    assert hash_of(WHOLE[0].hash, WHOLE[1].digest, 2) == WHOLE[1].hash
