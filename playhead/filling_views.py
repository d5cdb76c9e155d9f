"""The relay and the projections, for as long as a command waits for views to be made."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from infra.local import processes
from infra.local.processes import Launch
from infra.settings import Settings
from playhead.processes import RELAY, STORES, environment_of

PROCESSES: Final = ((RELAY,), *(("projections", store) for store in STORES))


@contextmanager
def filling_views(settings: Settings) -> Iterator[None]:
    """Run them beside whichever run already, with which they share the partitions. Raises LocalServerError."""
    environment = environment_of(settings, archive_url=settings.archive_location, probe_port=0)
    marks = []
    try:
        for arguments in PROCESSES:
            log = settings.state_dir.absolute() / "logs" / f"restore-{'-'.join(arguments)}.log"
            command = (sys.executable, "-m", "playhead", *arguments)
            marks.append(processes.spawn(Launch(command, Path.cwd(), environment=environment), log))
        yield
    finally:
        for mark in marks:
            processes.stop(mark, settings.shutdown_grace_s)
