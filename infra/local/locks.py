"""A lock between processes: one at a time resolves artefacts, or starts and stops the servers of a directory."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local.errors import LocalServerError


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting while another process holds it; a process that dies lets go of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("ab")
    except OSError as error:
        raise LocalServerError(
            f"{path.parent} cannot be written ({error.strerror}): it may belong to another user. "
            "Choose another directory, or run as its owner."
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
