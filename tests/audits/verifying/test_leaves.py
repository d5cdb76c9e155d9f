"""Leaves made many at a time are those that are made one by one."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from audits.verifying.leaves import OF_LEAVES, leaves_of
from infra.archive.columns import SCHEMA
from infra.archive.merkle import leaf

BYTES = st.one_of(st.none(), st.binary(max_size=40))
ROWS = st.tuples(st.integers(0, 2**62), st.one_of(st.none(), st.integers(0, 2**62)), BYTES, BYTES)
WHOLE = st.tuples(st.integers(0, 2**62), st.integers(0, 2**62), st.binary(max_size=40), st.binary(max_size=40))


@given(rows=st.one_of(st.lists(ROWS, max_size=20), st.lists(WHOLE, max_size=20)))
def test_leaves_from_columns_are_those_of_the_records(
    rows: list[tuple[int, int | None, bytes | None, bytes | None]],
) -> None:
    columns = {
        name: pa.array([row[place] for row in rows], SCHEMA.field(name).type) for place, name in enumerate(OF_LEAVES)
    }
    batch = pa.RecordBatch.from_pydict(columns)
    assert leaves_of("catalog.events", 7, batch) == [leaf("catalog.events", 7, *row) for row in rows]
