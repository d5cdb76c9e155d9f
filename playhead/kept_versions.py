"""Live versions whose fold is not the workers' yet: kept up to date here, until the workers' release has it."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any, Final

import asyncpg
from aiokafka.errors import KafkaError

from infra.clock import monotonic_s
from infra.settings import Settings
from infra.telemetry import log
from playhead import view_versions
from projections.errors import ProjectionError, StoreEmptied, StoreUnavailable
from projections.versions.registry import Keeper, State, Version

AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    KafkaError,
    StoreUnavailable,
    StoreEmptied,
)
"""What a server that is away, or busy, is told by: tried again."""


class KeptVersions:
    """A task for each view, at most settings.rebuilds_followed_max. `untended`: why one is not kept, by view."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._not_before_s: dict[str, float] = {}
        self.untended: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def is_full(self) -> bool:
        """Whether no more can be kept."""
        return len(self._tasks) >= self._settings.rebuilds_followed_max

    def keep(self, view: str, task: "asyncio.Task[Any]") -> None:
        """Have a task that keeps a view be one of ours."""
        self._tasks[view] = task

    def tend(self, versions: Sequence[Version], but: Collection[str]) -> None:
        """Keep what is a rebuild's to keep, also what a process before this one put in; `but` these views."""
        self._reap()
        ours = {one.view for one in versions if one.state is State.LIVE and one.keeper is Keeper.REBUILD}
        self.untended = {view: why for view, why in self.untended.items() if view in ours}
        for view in sorted(ours - self._tasks.keys() - set(but)):
            if not self.is_full and self._not_before_s.get(view, 0.0) <= monotonic_s():
                self._tasks[view] = asyncio.create_task(view_versions.follow(self._settings, view))

    def _reap(self) -> None:
        for view, task in [*self._tasks.items()]:
            if task.done():
                del self._tasks[view]
                self._ended(view, task)

    def _ended(self, view: str, task: "asyncio.Task[Any]") -> None:
        """It is another's to keep now, or cannot be kept."""
        try:
            task.result()
        except (ProjectionError, *AWAY) as error:
            self.untended[view] = str(error)
            self._not_before_s[view] = monotonic_s() + self._settings.store_retry_max_s
            log.warning("view_not_kept", view=view, reason=repr(error))
        else:
            self.untended.pop(view, None)
            self._not_before_s.pop(view, None)

    def let_go(self) -> "list[asyncio.Task[Any]]":
        """Leave them all; the tasks, which the caller ends."""
        tasks = [*self._tasks.values()]
        self._tasks.clear()
        return tasks
