"""Keys in files: read, or made on first use where an installation has none yet."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from infra.ids import new_id


def read_or_create(path: Path, create: Callable[[], bytes]) -> bytes:
    """The key in a file. Of two processes that make it at once, one wins and both use its key."""
    if not path.exists():
        place(path, create())
    return path.read_bytes()


def place(path: Path, content: bytes) -> None:
    """Make a file that only its owner reads, whole or not at all; one that is there stays as it is."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{new_id()}")
    draft.touch(mode=0o600)
    draft.write_bytes(content)
    try:
        os.link(draft, path)  # atomic, and refuses to replace the key of whoever came first
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def place_directory(directory: Path, name: str, content: bytes) -> None:
    """Make a directory with its first file, both or neither; one that holds something already stays as it is."""
    directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = directory.with_name(f".{directory.name}.{new_id()}")
    place(draft / name, content)
    try:
        draft.rename(directory)  # atomic, and refuses to replace a directory that is not empty
    except OSError:
        shutil.rmtree(draft)
        if not directory.is_dir():
            raise
