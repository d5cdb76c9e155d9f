"""Archives of events that tests make up, in a directory."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import pyarrow

from audits.sql.archive import archived
from audits.sql.asking import opened
from audits.sql.writing import Value, rows_of
from events.envelope import Envelope, Event, encode
from events.topics import topic_of
from infra.archive.records import Record
from infra.archive.store import Archive
from infra.archive.writing import day_of, write_file
from infra.settings import Settings


def archive_of(directory: Path, events: Iterable[Envelope[Event]], **values: object) -> Archive:
    """An archive of events in the order in which they came, each topic in its partition 0, a file a day."""
    settings = Settings.model_validate({"state_dir": directory, **values})
    archive = Archive.open(settings)
    archived_in(archive, events)
    return archive


def archived_in(archive: Archive, events: Iterable[Envelope[Event]]) -> None:
    """The same in an archive that is there, and empty."""
    by_topic: dict[str, list[Envelope[Event]]] = defaultdict(list)
    for event in events:
        by_topic[topic_of(event.type).name].append(event)
    for topic, of_topic in by_topic.items():
        for _, day in groupby(_records(topic, of_topic), key=lambda record: day_of(record.history_time_us)):
            write_file(archive, list(day))


def _records(topic: str, events: Sequence[Envelope[Event]]) -> Iterable[Record]:
    latest_us = 0
    for offset, event in enumerate(events):
        latest_us = max(latest_us, round(event.recordedtime.timestamp() * 1_000_000))
        body = encode(event)
        yield Record(topic, 0, offset, latest_us, latest_us // 1000, event.partitionkey.encode(), body, None, ())


def asked(archive: Archive, sql: str) -> list[tuple[Value, ...]]:
    """The rows of an answer."""
    with opened(archived(archive), archive.settings) as asking:
        answer = asking.answer(sql)
        return [row for batch in answer.batches for row in rows_of(answer, batch)]


def described(archive: Archive, sql: str) -> list[dict[str, Value]]:
    """The rows with the names of their columns."""
    with opened(archived(archive), archive.settings) as asking:
        answer = asking.answer(sql)
        batches: list[pyarrow.RecordBatch] = list(answer.batches)
        return [dict(zip(answer.names, row, strict=True)) for each in batches for row in rows_of(answer, each)]
