"""Erasures that came after a backup: what the archive tells of them is done again, so that no restore brings back what
somebody has had erased.
"""

import asyncio
from datetime import datetime
from typing import Final

from audits.backups.manifest import Part
from commands.identity.access_tables import DESTROY_KEY, FORGET
from events.topics import IDENTITY
from infra.archive.records import envelope_of
from infra.archive.store import Archive
from infra.postgres import Connection

ERASURES: Final = frozenset({"identity.AccountWithdrawn.v1", "identity.PersonErased.v1"})
"""What destroys a key, and what certifies it."""


async def erased_since(archive: Archive, parts: list[Part]) -> list[str]:
    """The accounts that were erased after these parts of the archive ended. Raises ArchiveDamaged, OSError."""
    ends = {part.partition: part.end for part in parts if part.topic == IDENTITY.name}
    return await asyncio.to_thread(_erased, archive, ends)


def _erased(archive: Archive, ends: dict[int, int]) -> list[str]:
    found = set()
    for partition, end in ends.items():
        for record in archive.records(IDENTITY.name, partition, first=end):
            told = envelope_of(record.value)
            if told.type in ERASURES and told.account_id is not None:
                found.add(told.account_id)
    return sorted(found)


async def erase(connection: Connection, account_ids: list[str], at: datetime) -> None:
    """Destroy their keys, and forget who may sign in."""
    for account_id in account_ids:
        await connection.execute(FORGET, account_id)
        await connection.execute(DESTROY_KEY, account_id, at)
