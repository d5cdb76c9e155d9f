"""What is archived is read back as it was, and what is damaged is said to be."""

from dataclasses import dataclass
from datetime import date
from io import BytesIO

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from events.envelope import encode
from events.topics import POSITION_HEADER
from infra.archive.columns import SCHEMA
from infra.archive.cutting import Tail, write_messages
from infra.archive.errors import ArchiveDamaged
from infra.archive.merkle import leaf, root
from infra.archive.records import NOTHING, Record, envelope_of, usual_headers
from infra.archive.store import Archive
from infra.archive.writing import PlaceTaken, write_file
from tests.infra.archive.history import EVENING, TOPIC, micros, record, records, started


@dataclass
class Message:
    """As aiokafka gives it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def test_an_empty_archive_has_nothing(archive: Archive) -> None:
    assert archive.partitions() == []
    assert archive.files(TOPIC, 0) == []
    assert archive.end(TOPIC, 0) == 0
    assert list(archive.records(TOPIC, 0, first=0)) == []


def test_records_are_read_back_byte_for_byte(archive: Archive) -> None:
    kept = [
        *records(0, 3),
        record(3, value=b"not an event \xff"),
        record(4)._replace(key=None, position=17, headers=(("traceparent", b"\x00\xff"),)),
        record(5)._replace(position=18, headers=usual_headers(18)),
        record(6)._replace(position=7, headers=((POSITION_HEADER, b"007"),)),
        record(7)._replace(headers=usual_headers(None)),
        record(8)._replace(value=None),
    ]

    write_file(archive, kept)

    assert list(archive.records(TOPIC, 0, first=0)) == kept


def test_an_entry_says_what_its_file_holds(archive: Archive) -> None:
    kept = [record(7)._replace(position=3), record(8)._replace(position=2)]

    file = write_file(archive, kept, follows=0)

    assert (file.follows, file.first, file.last, file.rows, file.missing) == (0, 7, 8, 2, 7)
    assert (file.first_position, file.last_position) == (2, 3)
    assert file.day == date(2026, 11, 20)
    assert file.first_time == kept[0].history_time_us
    assert file.root == root(leaf(TOPIC, 0, each.offset, each.position, each.key, each.value) for each in kept).hex()
    assert archive.files(TOPIC, 0) == [file]
    archive.check(file)


def test_a_range_of_records_is_read_across_files(archive: Archive) -> None:
    for first in (0, 10, 20):
        write_file(archive, records(first, first + 10))

    found = [each.offset for each in archive.records(TOPIC, 0, first=8, last=21)]

    assert found == list(range(8, 22))
    assert archive.end(TOPIC, 0) == 30


def test_partitions_are_those_that_something_was_written_of(archive: Archive) -> None:
    write_file(archive, records(0, 1, partition=11))
    write_file(archive, records(0, 1, partition=2))

    assert archive.partitions() == [(TOPIC, 2), (TOPIC, 11)]


def test_columns_say_what_envelopes_do_and_are_filtered_by(archive: Archive) -> None:
    file = write_file(archive, [*records(0, 5), record(5, value=b"nothing")])

    [batch] = archive.read(file, columns=["offset", "session_id"], where=pc.field("profile_id") == "profile-1")
    [whole] = archive.read(file)

    assert batch.to_pylist() == [{"offset": 1, "session_id": "session-1"}, {"offset": 4, "session_id": "session-4"}]
    assert whole.schema.names == SCHEMA.names
    assert whole.column("type")[0].as_py() == "playback.PlaybackStarted.v1"
    assert [whole.column(name)[5].as_py() for name in SCHEMA.names[7:]] == [None] * 14


def test_of_two_writers_at_an_offset_one_wins(archive: Archive) -> None:
    first = write_file(archive, records(0, 5))
    other = Archive(archive.files_of_store, archive.settings)

    with pytest.raises(PlaceTaken):
        write_file(other, records(0, 8))

    assert other.files(TOPIC, 0) == [first]
    assert [each.offset for each in other.records(TOPIC, 0, first=0)] == list(range(5))


def test_a_writer_that_was_killed_before_the_entry_leaves_nothing(archive: Archive) -> None:
    lost = write_file(archive, records(0, 5))
    archive.entries.forget(lost.entry)  # as if its writer had not come to it

    assert archive.end(TOPIC, 0) == 0
    assert write_file(archive, records(0, 5)) == lost  # by the same name, over what is left


def test_a_flipped_bit_is_found(archive: Archive) -> None:
    file = write_file(archive, records(0, 50))
    content = bytearray(archive.files_of_store.read(file.path))
    bodies = pq.read_metadata(BytesIO(content)).row_group(0).column(SCHEMA.names.index("value"))
    content[bodies.data_page_offset + bodies.total_compressed_size // 2] ^= 1
    archive.files_of_store.remove(file.path)
    archive.files_of_store.create(file.path, bytes(content))

    with pytest.raises(ArchiveDamaged, match=r"SHA-256"):
        archive.check(file)
    with pytest.raises(ArchiveDamaged, match=file.path):
        list(archive.read(file))


def test_a_file_that_is_gone_or_cut_is_found(archive: Archive) -> None:
    file = write_file(archive, records(0, 50))
    content = archive.files_of_store.read(file.path)
    archive.files_of_store.remove(file.path)
    with pytest.raises(ArchiveDamaged, match="not there"):
        list(archive.records(TOPIC, 0, first=0))
    with pytest.raises(ArchiveDamaged, match="not there"):
        archive.check(file)

    archive.files_of_store.create(file.path, content[:-100])

    with pytest.raises(ArchiveDamaged, match="cannot be read"):
        list(archive.records(TOPIC, 0, first=0))
    with pytest.raises(ArchiveDamaged, match="bytes"):
        archive.check(file)


def test_an_entry_of_another_file_is_not_believed(archive: Archive) -> None:
    file = write_file(archive, records(0, 5))
    entry = archive.files_of_store.read(file.entry)
    archive.files_of_store.create(file.entry.replace("0.json", "5.json"), entry)

    with pytest.raises(ArchiveDamaged, match="another file"):
        archive.files(TOPIC, 0)


def test_a_record_is_made_of_what_kafka_gives() -> None:
    headers = (("content-type", b"application/cloudevents+json"), (POSITION_HEADER, b"42"))
    made = Record.of(Message(TOPIC, 1, 2, 3, b"key", b"value", headers), micros(EVENING))

    assert made == Record(TOPIC, 1, 2, micros(EVENING), 3, b"key", b"value", 42, headers)


UNREADABLE = [
    *(None, b"", b"[]", b'{"id": 1}', b'{"time": "2026-11-20T19:00:00"}', b"\xff", b"{", b'{"id": "\\ud800"}'),
    *(b'{"recordedtime": "%s"}' % when for when in (b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-14:00")),
    b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
]


@pytest.mark.parametrize("value", UNREADABLE)
def test_what_is_no_envelope_says_nothing(value: bytes | None) -> None:
    assert envelope_of(value) == NOTHING


def test_whatever_is_on_kafka_can_be_archived(archive: Archive) -> None:
    values = [*UNREADABLE, *(encode(started(number)) for number in range(3))]
    messages = [Message(TOPIC, 0, at, -1, None, value, ()) for at, value in enumerate(values)]

    [file] = write_messages(archive, messages[: len(UNREADABLE)], Tail(0, None))
    assert [each.value for each in archive.records(TOPIC, 0, first=0)] == UNREADABLE
    list(write_messages(archive, messages[len(UNREADABLE) :], Tail(file.end, file.last_time)))

    assert [each.value for each in archive.records(TOPIC, 0, first=0)] == values


def test_a_file_ends_with_its_day_and_before_what_kafka_had_lost(archive: Archive) -> None:
    times = ["2026-11-20T10:00:00Z", "2026-11-20T09:00:00Z", "2026-11-21T00:00:00Z", "2026-11-20T23:00:00Z", "", ""]
    messages = [
        Message(TOPIC, 0, offset, 1, None, b'{"recordedtime": "%s"}' % time.encode(), ())
        for offset, time in zip([3, 4, 5, 6, 9, 10], times, strict=True)
    ]

    files = list(write_messages(archive, messages, Tail(0, None)))

    spans = [(file.follows, file.first, file.last, file.missing, file.day.day) for file in files]
    assert spans == [(0, 3, 4, 3, 20), (5, 5, 6, 0, 21), (7, 9, 10, 2, 21)]
    assert files[0].last_time == files[0].first_time


def test_an_envelope_says_its_attributes_whatever_its_data_is() -> None:
    of = envelope_of(encode(started(4)))

    assert (of.type, of.session_id, of.profile_id) == ("playback.PlaybackStarted.v1", "session-4", "profile-1")
    assert envelope_of(b'{"id": "a", "data": [1]}').id == "a"
    assert envelope_of(b'{"id": "a", "sequence": 99999999999999999999}') == NOTHING
