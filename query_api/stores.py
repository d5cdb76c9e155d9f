"""The stores that views live in, each connected in the background: one that is down stops only its own routes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog

from infra.clock import monotonic_s
from infra.http.problems import ProblemKind, Refusal
from infra.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger()

C = TypeVar("C")

LOG_INTERVAL_S: Final = 1.0


class StoreUnavailable(Refusal):
    """The store of the asked view is down, or took longer than settings.query_timeout_s."""


STORE_UNAVAILABLE = ProblemKind(503, "store-unavailable", "The store that holds this view does not answer")


@dataclass(frozen=True)
class Driver(Generic[C]):
    """One kind of store: how to connect, to ask for a sign of life, to close, and what its failures look like."""

    name: str
    connect: Callable[[], Awaitable[C]]
    ping: Callable[[C], Awaitable[object]]
    close: Callable[[C], Awaitable[object]]
    failures: tuple[type[Exception], ...]


class Store(Generic[C]):
    """A store that may be down now and up later, and is never waited for at start."""

    def __init__(self, driver: Driver[C], settings: Settings) -> None:
        self.name = driver.name
        self.failures = driver.failures
        self._driver = driver
        self._settings = settings
        self._client: C | None = None
        self._reason = "not connected yet"
        self._logged_at_s = float("-inf")
        self._connecting: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to connect."""
        self._connecting = asyncio.create_task(self._connect(), name=f"connect to {self.name}")

    async def close(self) -> None:
        """Stop connecting, and close what is connected."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        client, self._client = self._client, None
        if client is not None:
            await self._driver.close(client)

    @contextlib.asynccontextmanager
    async def use(self) -> AsyncIterator[C]:
        """The client, for one read of at most settings.query_timeout_s. Raises StoreUnavailable when that fails."""
        client = self.connected()
        try:
            async with asyncio.timeout(self._settings.query_timeout_s):
                yield client
        except self.failures as error:
            raise self.failed(error) from error

    def connected(self) -> C:
        """The client, for who bounds a read otherwise, catches `failures` and raises failed(). Raises
        StoreUnavailable.
        """
        if self._client is None:
            raise self._unavailable(self._reason)
        return self._client

    def failed(self, error: Exception) -> StoreUnavailable:
        """The refusal for one of `failures`; the log has one line a second of them, however many requests fail."""
        if monotonic_s() - self._logged_at_s > LOG_INTERVAL_S:
            self._logged_at_s = monotonic_s()
            log.warning("store failed", store=self.name, error=repr(error))
        return self._unavailable("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self.name.title()} does not answer ({reason}); views in other stores are not affected. Try again.",
            members={"store": self.name, "reason": reason},
            headers={"Retry-After": str(self._settings.retry_after_s)},
        )

    async def missing(self) -> str | None:
        """Why this store cannot be read now, or None."""
        try:
            async with self.use() as client:
                await self._driver.ping(client)
        except StoreUnavailable as refusal:
            return str(refusal.members["reason"])
        return None

    async def _connect(self) -> None:
        while self._client is None:
            try:
                self._client = await self._driver.connect()
            except self._driver.failures as error:
                self._reason = f"cannot connect: {type(error).__name__}"
                log.warning("store is not there", store=self.name, error=repr(error))
                await asyncio.sleep(self._settings.store_connect_retry_s)
