"""The recordings of real players beside this module, record by record (kinds `collect` and `media`)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from commands.playback.cmcd.records import Reading, read_headers, read_lines, read_query
from events.cmcd import Record

RECORDINGS = sorted((Path(__file__).parent / "recordings").glob("*.jsonl"))
NAMES = [path.stem for path in RECORDINGS]


def requests(path: Path) -> Iterator[dict[str, Any]]:
    """The requests of a recording that carry CMCD."""
    with path.open() as lines:
        yield from (sent for sent in map(json.loads, lines) if sent["kind"] in ("collect", "media"))


def readings(path: Path) -> list[Reading]:
    """What the library reads in a recording, in the order of arrival."""
    return [reading for sent in requests(path) for reading in _of(sent)]


def records(path: Path) -> list[Record]:
    """The readings that are records."""
    return [reading for reading in readings(path) if isinstance(reading, Record)]


def recording(name: str) -> Path:
    """The recording of that name."""
    return RECORDINGS[NAMES.index(name)]


def _of(sent: dict[str, Any]) -> list[Reading]:
    if sent["kind"] == "collect":
        return read_lines(sent["body"].encode())
    query = sent["url"].partition("?")[2]
    return [read_query(query) if query else read_headers(sent["headers"])]
