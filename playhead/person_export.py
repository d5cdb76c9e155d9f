"""What `playhead audit export` does: one person's export, to stdout or to a file that is there when it is whole."""

import asyncio
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

import asyncpg
from cryptography.exceptions import InvalidTag

from audits.exporting import Exporting
from audits.personal import Personal
from audits.sources import Source, SourceAway, opened
from infra.archive.errors import ArchiveDamaged
from infra.ids import new_id
from infra.person_keys import PersonKeys
from infra.personal_data import MasterKey
from infra.settings import Settings
from playhead.console import err, fail

READER: Final = "command-line"
FAILURES: Final = (SourceAway, ArchiveDamaged, OSError, InvalidTag, asyncpg.PostgresError, asyncpg.InterfaceError)


def run(settings: Settings, account_id: str, output: Path | None, *, without: tuple[str, ...], purpose: str) -> int:
    """Export; the exit status."""
    try:
        left_out = [Source(name) for name in without]
    except ValueError:
        return fail(f"There is no source {without}; there are {', '.join(Source)}.").exit_code
    if Source.LOG in left_out:
        return fail("The log cannot be left out: the keys of persons, and their rows, are in its database.").exit_code
    try:
        with _written(output) as file:
            asyncio.run(_exported(settings, account_id, file, left_out, purpose))
    except FAILURES as error:
        return fail(f"It is not whole: {error or type(error).__name__}.").exit_code
    return 0


async def _exported(settings: Settings, account_id: str, file: BinaryIO, left_out: list[Source], purpose: str) -> None:
    async with opened(settings, without=left_out) as sources:
        pool = await sources.log()
        assert pool is not None, "it is not left out"
        keys = PersonKeys(pool, MasterKey.load(settings), kept=settings.personal_keys_kept)
        exporting = Exporting(sources, account_id, Personal(keys, reader=READER, purpose=purpose))
        async for lines in exporting.lines():
            file.write(lines)
    for lack in exporting.lacks:
        err.print(lack, highlight=False, markup=False)


@contextmanager
def _written(output: Path | None) -> Iterator[BinaryIO]:
    """Where the lines go."""
    if output is None:
        yield sys.stdout.buffer
        return
    draft = output.with_name(f".{output.name}.{new_id()}")
    draft.touch(mode=0o600)  # it is a person's
    try:
        if output.suffix == ".zip":
            with (
                zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive,
                archive.open("person.jsonl", "w") as file,
            ):
                yield cast(BinaryIO, file)
        else:
            with draft.open("wb") as plain:
                yield plain
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
