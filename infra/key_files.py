"""Keys in files: read, or made on first use where an installation has none yet."""

import os
from collections.abc import Callable
from pathlib import Path


def read_or_create(path: Path, create: Callable[[], bytes]) -> bytes:
    """The key in a file. Of two processes that make it at once, one wins and both use its key."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_bytes(create())
        try:
            os.link(draft, path)  # atomic, and refuses to replace the key of whoever came first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()
