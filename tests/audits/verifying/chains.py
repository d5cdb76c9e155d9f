"""A log partition in memory, chained as append_events() does it (migration 0001), to be tampered with."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

import msgspec

from audits.verifying.chain import Chain, Link, Row
from audits.verifying.findings import Finding
from infra.event_log import GENESIS

PARTITION = 3
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


def hash_of(previous: bytes, digest: bytes, position: int) -> bytes:
    place = PARTITION.to_bytes(2, "big") + position.to_bytes(8, "big")
    return sha256(previous + digest + place).digest()


def body_of(number: int, streams: int = 3) -> bytes:
    held = {
        "id": str(UUID(int=number)),
        "subject": f"catalog.series-{number % streams}",
        "type": "catalog.SeasonAdded.v1",
        "sequence": (number - 1) // streams + 1,
        "recordedtime": BEGAN + timedelta(seconds=number),
        "data": {"name": "Season " * (number % 5)},
    }
    return msgspec.json.encode(held)


def row_of(position: int, body: bytes, previous: bytes) -> Row:
    held = msgspec.json.decode(body)
    digest = sha256(body).digest()
    return Row(
        position,
        held["id"],
        held["subject"],
        held["sequence"],
        held["type"],
        datetime.fromisoformat(held["recordedtime"]),
        body,
        digest,
        hash_of(previous, digest, position),
    )


def partition(count: int) -> list[Row]:
    rows, previous = list[Row](), GENESIS
    for position in range(1, count + 1):
        rows.append(row_of(position, body_of(position), previous))
        previous = rows[-1].hash
    return rows


def rechained(rows: list[Row], start: int) -> list[Row]:
    """Rows whose hashes somebody computed anew from an index on, positions too."""
    previous = rows[start - 1].hash if start else GENESIS
    changed = rows[:start]
    for position, row in enumerate(rows[start:], start + 1):
        digest = sha256(row.body).digest()
        previous = hash_of(previous, digest, position)
        changed.append(row._replace(position=position, digest=digest, hash=previous))
    return changed


def examined(rows: list[Row], batch: int = 1_000) -> list[Finding]:
    """What is found in rows that come batch by batch."""
    chain, found, rest = Chain(PARTITION, Link(0, GENESIS)), list[Finding](), list[Row]()
    for start in range(0, len(rows), batch):
        some, rest = chain.examine([*rest, *rows[start : start + batch]], last=start + batch >= len(rows))
        found += some
    assert not rest
    return found
