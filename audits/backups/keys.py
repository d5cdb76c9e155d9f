"""The keys that a backup does not hold: which there are, and whether they are those of what it holds."""

from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag

from audits.backups.manifest import Backup, BackupRefused
from infra.access.keyring import MASTER
from infra.personal_data import IndexKeyLost, MasterKey
from infra.postgres import Connection
from infra.settings import Settings

SEALED_TEXT: Final = "a backup of Playhead"
INDEX: Final = "personal_data.index"
PERSONS: Final = "select person_id, wrapped from person_key where wrapped is not null"
HAS_PERSONS: Final = "select exists (select from person_key where wrapped is not null)"


def names(settings: Settings) -> list[str]:
    """The names of the files with keys."""
    places = {settings.keys_path, settings.master_keys_path}
    return sorted({str(path.relative_to(place)) for place in places for path in place.rglob("*") if path.is_file()})


def _is_there(place: Path) -> bool:
    return any((place / name).exists() for name in (INDEX, MASTER.name, MASTER.old_file))


async def of_installation(settings: Settings, connection: Connection) -> MasterKey:
    """The master keys, made if nobody has needed them yet. Raises BackupRefused where they are elsewhere."""
    if not _is_there(settings.master_keys_path) and await connection.fetchval(HAS_PERSONS):
        raise BackupRefused(
            f"{settings.master_keys_path} has no master keys, and there are persons: run it where the keys are, so "
            "that the backup can tell which they were"
        )
    return MasterKey.load(settings)


def of_backup(settings: Settings, backup: Backup) -> MasterKey:
    """The master keys. Raises BackupRefused unless they are those of the backup; then none are made."""
    wrong = (
        f"the keys in {settings.master_keys_path} are not those of this backup, which holds none: bring back the "
        f"directories of keys that you keep apart (there were {', '.join(backup.keys)})"
    )
    if not _is_there(settings.master_keys_path):
        raise BackupRefused(wrong)
    try:
        master = MasterKey.load(settings)
        if master.open(backup.sealed) != SEALED_TEXT:
            raise BackupRefused(wrong)
    except (InvalidTag, IndexKeyLost) as error:
        raise BackupRefused(wrong) from error
    return master


async def check_persons(connection: Connection, master: MasterKey) -> None:
    """Open every person's key, in the connection's transaction. Raises BackupRefused."""
    async for row in connection.cursor(PERSONS):
        try:
            master.unwrap(row["wrapped"], row["person_id"])
        except InvalidTag as error:
            raise BackupRefused(f"the master keys do not open the key of account {row['person_id']}") from error
