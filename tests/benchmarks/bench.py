"""What every benchmark works with: the installation that it measures, how it shows its progress, and the memory that
its processes came to.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from infra.local import LocalServers
from infra.migrate import migrate
from infra.settings import Settings, load_settings, servers_given
from tests.benchmarks.results import Line

STATE = Path(".playhead") / f"bench-{os.getpid()}"
PROCESS_MAX_MB = 200
Advance = Callable[[int], None]


@dataclass
class Bench:
    """One run. `peaks_mb`: the most memory that each of Playhead's processes held."""

    settings: Settings
    progress: Progress | None
    peaks_mb: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, what: str, total: int) -> Iterator[Advance]:
        """A step that takes a while: a bar on a terminal, a line elsewhere. Yields what counts it on."""
        if self.progress is None:
            print(what, flush=True)
            yield lambda _: None
            return
        bar = self.progress.add_task(what, total=total)
        yield lambda count: self.progress.advance(bar, count) if self.progress else None
        self.progress.remove_task(bar)

    def tell(self, what: str) -> None:
        """Say something at once: what a long benchmark has found so far, should it not come to its end."""
        print(what, flush=True) if self.progress is None else self.progress.console.print(what)

    def memory(self) -> list[Line]:
        """A line for each process."""
        return [
            Line(f"memory: {name}, most, MB", f"{mb:.0f}", goal=f"< {PROCESS_MAX_MB}", met=mb < PROCESS_MAX_MB)
            for name, mb in sorted(self.peaks_mb.items())
        ]


@asynccontextmanager
async def opened() -> AsyncIterator[Bench]:
    """A run on the servers that the environment names, which it writes to, else on servers of its own."""
    settings, local = load_settings(), None
    with Progress(transient=True) if Console().is_terminal else _no_progress() as progress:
        bench = Bench(settings, progress)
        try:
            if not servers_given():
                local = LocalServers(STATE, settings.cache_dir, java_home=settings.java_home)
                with bench.stage("starting Kafka, Cassandra, Postgres and Redis", 1):
                    at = local.up(lambda _: None)
                changes = {name.removeprefix("PLAYHEAD_").lower(): value for name, value in at.environment.items()}
                bench.settings = Settings(**{**changes, "state_dir": STATE.absolute()})  # type: ignore[arg-type]
            await migrate(bench.settings, lambda _: None)
            yield bench
        finally:
            if local is not None:
                local.erase()


@contextmanager
def _no_progress() -> Iterator[None]:
    yield None
