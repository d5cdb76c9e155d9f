"""The registry's row of the version that is being built: read anew, moved on, and told how far the build is."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Self

import asyncpg

from infra.postgres import Connection, Pool, Role, connect_pool
from infra.settings import Settings
from infra.telemetry import log
from projections.errors import StoreUnavailable
from projections.stores.postgres_writing import told_apart
from projections.versions import registry, telling
from projections.versions.groups import NOT_FILLED, PROJECTION, Group
from projections.versions.keeping import check_kept
from projections.versions.registry import State, Version, VersionRefused
from projections.versions.telling import SetAside, Show, Teller


class Entry:
    """What the registry says of one version, whose folds must be ours. Use as a context; its methods raise
    StoreUnavailable. `letters`: counts what the build could not apply.
    """

    def __init__(self, group: Group, version: Version, settings: Settings, show: Show) -> None:
        if {view: fold for view, fold in version.folds.items() if fold != NOT_FILLED} != group.folds:
            raise VersionRefused(
                f"version {version.version} of {group.name} has the folds {version.folds}, and this release "
                f"{group.folds}: use the release that has them, or retire that version and rebuild"
            )
        self.version = version
        self.letters = SetAside()
        self._in_postgres = group.store == PROJECTION
        self._settings = settings
        self._show = show
        self._teller = Teller(settings)

    async def __aenter__(self) -> Self:
        self._pool: Pool = await connect_pool(self._settings, role=Role.PROJECTIONS, size=2)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    async def look(self) -> None:
        """Read the version anew. Raises Superseded."""
        with self._unless_live():
            async with self.asking() as connection:
                self.version = await self._now(connection)
        check_kept(self.version)

    async def advance(self, to: State) -> None:
        """Move it on, if that is its next step."""
        async with self.asking() as connection:
            now = await self._now(connection)
            if to in registry.STEPS[now.state]:
                with suppress(VersionRefused):  # somebody else who builds it was quicker
                    await registry.move(connection, now, to)
            self.version = await self._now(connection)

    @property
    def is_due(self) -> bool:
        """Whether it is time to tell how far the build is."""
        return self._teller.is_due

    async def tell(self, done: int, total: int, waits: str | None) -> None:
        """Say how many records of how many are applied, and what it waits for."""
        progress = self._teller.progress(self.version, done, total, waits)
        set_aside = self.letters.take()
        with self._unless_live():
            async with self.asking() as connection:
                await telling.write(connection, self.version, progress, set_aside)
        self._show(progress)

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[Connection]:
        """A connection to Postgres as the projections' role."""
        with told_apart():
            async with self._pool.acquire(timeout=self._settings.query_timeout_s) as connection:
                try:
                    yield connection  # type: ignore[misc]  # a proxy that the stubs do not take for a connection
                except (OSError, TimeoutError, asyncpg.PostgresConnectionError):
                    connection.terminate()
                    raise

    async def _now(self, connection: Connection) -> Version:
        return await registry.one(connection, self.version.view, self.version.version)

    @contextmanager
    def _unless_live(self) -> Iterator[None]:
        """What keeps a live version in another store goes on while Postgres is away: its readers do not need it."""
        try:
            yield
        except StoreUnavailable as error:
            if self._in_postgres or self.version.state is not State.LIVE:
                raise
            log.warning("registry is away", view=self.version.view, error=str(error))
