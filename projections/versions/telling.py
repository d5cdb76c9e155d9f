"""What a rebuild tells: the registry, and whoever watches it, how far it is and at which pace."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from infra.clock import monotonic_s, utc_now
from infra.postgres import Connection
from infra.settings import Settings
from projections.letters import Letter
from projections.retries import Retry
from projections.versions import registry
from projections.versions.registry import State, Version


class Progress(NamedTuple):
    """How far a build is, for whoever watches it. `waits`: for what, if it does."""

    view: str
    version: int
    state: State
    done: int
    total: int
    records_per_s: float
    waits: str | None


Show = Callable[[Progress], None]


class SetAside:
    """Counts what could not be applied, instead of sending it: the live worker did, when it was its turn."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    async def send(self, projection: str, letters: Sequence[Letter]) -> None:
        """Nothing is sent."""
        self._counts.update(letter.reason.value for letter in letters)

    async def applied(self, projection: str, retries: Sequence[Retry]) -> None:
        """Nothing is: retries are the projection's, and a rebuild reads the records themselves."""

    def take(self) -> int:
        """How many since this was asked last."""
        taken, self._counts = self._counts.total(), Counter()
        return taken


class Teller:
    """Says how far a build is, now and then."""

    def __init__(self, settings: Settings) -> None:
        self._interval_s = settings.rebuild_note_interval_s
        self._noted_at_s = float("-inf")
        self._noted_done = 0
        self._records_per_s = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time to say something."""
        return monotonic_s() - self._noted_at_s >= self._interval_s

    def progress(self, version: Version, done: int, total: int, waits: str | None) -> Progress:
        """What is to be said now; the pace is of the last while."""
        now_s = monotonic_s()
        if (since_s := now_s - self._noted_at_s) < float("inf"):
            latest = (done - self._noted_done) / since_s
            self._records_per_s = 0.7 * self._records_per_s + 0.3 * latest if self._records_per_s else latest
        self._noted_at_s, self._noted_done = now_s, done
        return Progress(version.view, version.version, version.state, done, total, self._records_per_s, waits)


async def write(connection: Connection, version: Version, progress: Progress, set_aside: int) -> None:
    """Have the registry know it. `set_aside`: how many more could not be applied."""
    await registry.note(
        connection,
        version,
        records_done=progress.done,
        records_total=progress.total,
        records_per_s=progress.records_per_s,
        waits=progress.waits,
        worked_at=utc_now(),
        last_error=None,
    )
    if set_aside:
        await connection.execute(
            "update view_versions set records_set_aside = records_set_aside + $3 where view = $1 and version = $2",
            version.view,
            version.version,
            set_aside,
        )
