"""Whether the columns of the archive say what the values beside them say: else somebody who filters by them is misled.

The fast way compares whole columns; only where one differs is each value decoded as the archiver does, and the row
named.
"""

from collections.abc import Iterator
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from infra.archive.columns import MOMENT, NOT_OF_ENVELOPES, SCHEMA, Raw, table_of
from infra.archive.records import Attributes

NAMES: Final = SCHEMA.names[NOT_OF_ENVELOPES:]
HISTORY_TIME: Final = "history_time"


class Differs(NamedTuple):
    """A column that does not say what the value says, in a row of a batch."""

    row: int
    column: str
    expected: str
    found: str


class _Unparsed(Attributes, frozen=True, gc=False):
    """Attributes whose times are still texts: Arrow parses them many at a time."""

    time: str | None = None  # type: ignore[assignment]
    recordedtime: str | None = None  # type: ignore[assignment]


_decode: Final = msgspec.json.Decoder(_Unparsed).decode
_READ: Final = [
    (
        name,
        attrgetter(
            {
                "stream": "subject",
                "recorded_time": "recordedtime",
                "correlation_id": "correlationid",
                "causation_id": "causationid",
            }.get(name, name)
        ),
    )
    for name in NAMES
]


def differing(raw: Raw, batch: pa.RecordBatch, last_us: int | None) -> Iterator[Differs]:
    """What the columns of a batch say wrongly. `raw`: the same records; `last_us`: the history time of the record
    before them, None if there is none.
    """
    if not _fits(raw, batch, last_us):
        expected = table_of(raw, last_us)
        for name in NAMES:
            yield from _differences(name, expected.column(name).combine_chunks(), batch.column(name))
        yield from _differences(HISTORY_TIME, _times(expected, batch, last_us), batch.column(HISTORY_TIME))


def _times(expected: pa.Table, batch: pa.RecordBatch, last_us: int | None) -> pa.Array:
    """What each history time must be after the one before it, whatever that is: one that is wrong is told once."""
    found = batch.column(HISTORY_TIME).cast(pa.int64())
    first = expected.column(HISTORY_TIME)[0].value if last_us is None else last_us
    before = pa.concat_arrays([pa.array([first], pa.int64()), found[:-1]])
    told = expected.column("recorded_time").combine_chunks().cast(pa.int64())
    return pc.max_element_wise(before, told).cast(MOMENT)


def _fits(raw: Raw, batch: pa.RecordBatch, last_us: int | None) -> bool:
    try:
        held = list(map(_decode, raw.values))  # type: ignore[arg-type]  # None raises
        for name, read in _READ:
            expected = pa.array(list(map(read, held)))
            kind = SCHEMA.field(name).type
            if expected.type != kind:
                expected = expected.cast(kind)
            if not expected.equals(batch.column(name)):
                return False
    except (msgspec.MsgspecError, ValueError, TypeError, pa.ArrowException):
        return False
    recorded = batch.column("recorded_time")  # which is what the values say
    if recorded.null_count:
        return False
    told = recorded.cast(pa.int64())
    told = told if last_us is None else pc.max_element_wise(told, last_us)
    return bool(pc.cumulative_max(told).cast(MOMENT).equals(batch.column(HISTORY_TIME)))


def _differences(name: str, expected: pa.Array, found: pa.Array) -> Iterator[Differs]:
    if expected.equals(found):
        return
    for row, (one, other) in enumerate(zip(expected.to_pylist(), found.to_pylist(), strict=True)):
        if one != other:
            yield Differs(row, name, str(one), str(other))
