"""Records as columns: the schema of the archive's files, and a table from records in one pass over their envelopes."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from infra.archive.merkle import leaf
from infra.archive.records import Attributes, Record, envelopes_of, position_of, unusual_headers

MOMENT: Final = pa.timestamp("us", tz="UTC")
SCHEMA: Final = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("history_time", MOMENT, nullable=False),
        pa.field("timestamp", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("position", pa.int64()),
        pa.field("headers", pa.binary()),
        pa.field("id", pa.string()),
        pa.field("type", pa.string()),
        pa.field("source", pa.string()),
        pa.field("stream", pa.string()),
        pa.field("time", MOMENT),
        pa.field("recorded_time", MOMENT),
        pa.field("sequence", pa.int64()),
        pa.field("correlation_id", pa.string()),
        pa.field("causation_id", pa.string()),
        pa.field("principal", pa.string()),
        pa.field("account_id", pa.string()),
        pa.field("profile_id", pa.string()),
        pa.field("session_id", pa.string()),
        pa.field("title_id", pa.string()),
    ]
)
NOT_OF_ENVELOPES: Final = 7
ATTRIBUTES: Final[tuple[tuple[str, Callable[[Attributes], object]], ...]] = (
    ("id", lambda of: of.id),
    ("type", lambda of: of.type),
    ("source", lambda of: of.source),
    ("stream", lambda of: of.subject),
    ("time", lambda of: of.time),
    ("recorded_time", lambda of: of.recordedtime),
    ("sequence", lambda of: of.sequence),
    ("correlation_id", lambda of: of.correlationid),
    ("causation_id", lambda of: of.causationid),
    ("principal", lambda of: of.principal),
)
RECORDED: Final = 5


class Raw(NamedTuple):
    """Records of one partition, side by side, in order of their offsets."""

    topic: str
    partition: int
    offsets: list[int]
    timestamps_ms: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    positions: list[int | None]
    headers: list[bytes | None]

    def part(self, start: int, stop: int) -> "Raw":
        """Some of them."""
        return Raw(
            self.topic,
            self.partition,
            self.offsets[start:stop],
            self.timestamps_ms[start:stop],
            self.keys[start:stop],
            self.values[start:stop],
            self.positions[start:stop],
            self.headers[start:stop],
        )

    def leaves(self) -> Iterator[bytes]:
        """Their Merkle leaves."""
        rows = zip(self.offsets, self.positions, self.keys, self.values, strict=True)
        return (leaf(self.topic, self.partition, *row) for row in rows)


def raw_of_messages(messages: Sequence[Any]) -> Raw:
    """From aiokafka's ConsumerRecords of a partition."""
    positions = [position_of(each.headers) if each.headers else None for each in messages]
    return Raw(
        topic=messages[0].topic,
        partition=messages[0].partition,
        offsets=[each.offset for each in messages],
        timestamps_ms=[each.timestamp for each in messages],
        keys=[each.key for each in messages],
        values=[each.value for each in messages],
        positions=positions,
        headers=[unusual_headers(each.headers, place) for each, place in zip(messages, positions, strict=True)],
    )


def raw_of_records(records: Sequence[Record]) -> Raw:
    """From records of a partition."""
    return Raw(
        topic=records[0].topic,
        partition=records[0].partition,
        offsets=[each.offset for each in records],
        timestamps_ms=[each.timestamp_ms for each in records],
        keys=[each.key for each in records],
        values=[each.value for each in records],
        positions=[each.position for each in records],
        headers=[unusual_headers(each.headers, each.position) for each in records],
    )


def table_of(raw: Raw, last_us: int | None, times_us: Sequence[int] | None = None) -> pa.Table:
    """The columns of records. `last_us`: the history time of the record before them; None if there is none.
    `times_us`: their history times, where they are known already.
    """
    envelopes = envelopes_of(raw.values)
    attributes = [pa.array([read(each) for each in envelopes], SCHEMA.field(name).type) for name, read in ATTRIBUTES]
    times = _history_times(attributes[RECORDED], raw, last_us) if times_us is None else pa.array(times_us, pa.int64())
    columns = [
        pa.array(raw.offsets, pa.int64()),
        times.cast(MOMENT),
        pa.array(raw.timestamps_ms, pa.int64()).cast(SCHEMA.field("timestamp").type),
        pa.array(raw.keys, pa.binary()),
        pa.array(raw.values, pa.binary()),
        pa.array(raw.positions, pa.int64()),
        pa.array(raw.headers, pa.binary()),
        *attributes,
        *_whose(envelopes),
    ]
    return pa.table(columns, schema=SCHEMA)


def _whose(envelopes: Sequence[Attributes]) -> list[pa.Array]:
    """The account, profile, session and title of each: what its data says, else its session."""
    datas = [each.data for each in envelopes]
    pairs = [(data, data.session) for data in datas]
    columns = (
        [data.account_id or session.account_id for data, session in pairs],
        [data.profile_id or session.profile_id for data, session in pairs],
        [data.session_id or session.session_id for data, session in pairs],
        [data.title_id or session.title.title_id for data, session in pairs],
    )
    return [pa.array(column, pa.string()) for column in columns]


def _history_times(recorded: pa.Array, raw: Raw, last_us: int | None) -> pa.Array:
    """When each was recorded, never running backwards; what says nothing takes the time before it, or Kafka's."""
    told = recorded.cast(pa.int64())
    if not told[0].is_valid:
        first_us = raw.timestamps_ms[0] * 1000 if last_us is None else last_us
        told = pa.concat_arrays([pa.array([first_us], pa.int64()), told[1:]])
    filled = pc.fill_null_forward(told)
    return pc.cumulative_max(filled if last_us is None else pc.max_element_wise(filled, last_us))
