"""The tables that a query reads: a view of each archived topic, and `events`, which is all of them."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

ALL: Final = "events"


class Column(NamedTuple):
    """A column of every view: what DuckDB calls its type, how it is made of a file's columns, and what it is."""

    name: str
    type: str
    made_of: str
    means: str


def _as_it_is(name: str, type_: str, means: str) -> Column:
    return Column(name, type_, f'"{name}"', means)


def _text(name: str, means: str) -> Column:
    return _as_it_is(name, "VARCHAR", means)


COLUMNS: Final = (
    _as_it_is("partition", "INTEGER", "Kafka's"),
    _as_it_is("offset", "BIGINT", "Kafka's"),
    _as_it_is("day", "DATE", "of history_time, UTC: name it, and other days' files are not opened"),
    _as_it_is(
        "history_time", "TIMESTAMP WITH TIME ZONE", "when Playhead took the event; never runs back in a partition"
    ),
    _as_it_is("timestamp", "TIMESTAMP WITH TIME ZONE", "Kafka's"),
    _as_it_is("position", "BIGINT", "in the event log; null in topics that routes produce to"),
    _text("id", "the event's; null, like all that follows, where a record cannot be decoded"),
    _text("type", "playback.PlaybackStarted.v1"),
    _text("source", "who made it"),
    _text("stream", "what it is about: the envelope's subject"),
    _as_it_is("time", "TIMESTAMP WITH TIME ZONE", "when it happened, corrected for the clock of who reported it"),
    _as_it_is("recorded_time", "TIMESTAMP WITH TIME ZONE", "as the envelope says it"),
    _as_it_is("sequence", "BIGINT", "its version in its stream"),
    _text("correlation_id", "the request; all that it recorded has the same"),
    _text("causation_id", "the event that it follows from"),
    _text("principal", "who did it"),
    _text("account_id", "whose it is"),
    _text("profile_id", "who it is about"),
    _text("session_id", "the playback session"),
    _text("title_id", "the title"),
    Column(
        "data",
        "JSON",
        "try(json_extract(decode(value), '$.data'))",
        "as its schema in schemas/ says; what is personal is sealed",
    ),
    Column("key", "VARCHAR", "try(decode(key))", "Kafka's"),
    Column("headers", "JSON", "try(decode(headers)::json)", "Kafka's, as [[name, base64]]; null for the usual ones"),
    _as_it_is("value", "BLOB", "the very bytes of the event"),
)


def name_of(topic: str) -> str:
    """The view of a topic: playback.events.dlq is playback_events_dlq."""
    return topic.replace(".", "_").replace("-", "_")


def view_of(topic: str, urls: Sequence[str]) -> str:
    """The statement that makes the view of a topic of its files (none: an empty one)."""
    made = ", ".join(f'cast({column.made_of} as {column.type}) as "{column.name}"' for column in COLUMNS)
    if not urls:
        nulls = ", ".join(f'cast(null as {column.type}) as "{column.name}"' for column in COLUMNS)
        return f"create view {name_of(topic)} as select {literal(topic)} as topic, {nulls} where false"
    return f"create view {name_of(topic)} as select {literal(topic)} as topic, {made} from {_files(urls)}"


def view_of_all(topics: Iterable[str]) -> str:
    """The statement that makes `events`, of the views of all topics."""
    selects = " union all ".join(f"select * from {name_of(topic)}" for topic in topics)
    return f"create view {ALL} as {selects}"


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def urls_literal(urls: Iterable[str]) -> str:
    """A list of texts in SQL."""
    return f"[{', '.join(map(literal, urls))}]"


def _files(urls: Sequence[str]) -> str:
    hive = "hive_partitioning = true, hive_types = {'day': date, 'partition': integer}"
    return f"read_parquet({urls_literal(urls)}, {hive})"
