"""What the live view shows, sampled once in a while: throughput, each store's lag, and what the processes hold."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import psutil

from infra.clock import monotonic_s
from infra.settings import MIB
from playhead.demo.ledger import Ledger
from playhead.processes import ARCHIVE, AUDITS, BILLING, STORES, Fleet, projections_of

SAMPLE_INTERVAL_S: Final = 1.0
METRICS_TIMEOUT_S: Final = 1.0
SETTLED_WITHIN_S: Final = 30.0
SETTLE_POLL_S: Final = 0.2
LAG: Final = "playhead_projection_lag_records{"
PAYMENT_REQUESTS: Final = re.compile(r'playhead_payment_requests_total{.*outcome="(\w+)".*} (\S+)')
MOST_MEMORY_BYTES: Final = 200 * MIB
"""What a Python process may hold."""
MOST_WITH_ARROW_BYTES: Final = 256 * MIB
"""The same of one that reads or writes the archive: Arrow's libraries are 80 MB of it."""
DEMO: Final = "demo (all viewers)"


@dataclass
class ProcessGauge:
    """One process as last seen. `most_bytes`: the largest resident set of all samples, restarts included."""

    pid: int | None
    rss_bytes: int
    most_bytes: int
    restarts: int


def most_bytes(process: str) -> int:
    """How much a process may hold."""
    return MOST_WITH_ARROW_BYTES if process in (ARCHIVE, AUDITS) else MOST_MEMORY_BYTES


@dataclass
class Gauges:
    """The last sample. Rates are since the one before; `lag` is in records, None for a process that did not answer."""

    reports_per_s: float = 0.0
    events_per_s: float = 0.0
    lag: dict[str, int | None] = field(default_factory=dict)
    processes: dict[str, ProcessGauge] = field(default_factory=dict)


class Sampler:
    """Takes the samples."""

    def __init__(self, fleet: Fleet, ledger: Ledger, session: aiohttp.ClientSession) -> None:
        self.gauges = Gauges()
        self._fleet = fleet
        self._ledger = ledger
        self._session = session
        self._before = (monotonic_s(), 0, 0)

    async def run(self) -> None:
        """Sample for ever."""
        while True:
            await asyncio.sleep(SAMPLE_INTERVAL_S)
            self._sample_rates()
            self.sample_memory()
            self.gauges.lag = {store: await self._lag(store) for store in STORES}

    async def settled(self) -> bool:
        """Return when no store lags, and say so; or after a while. Redis, for one, fills again after a restart."""
        deadline_s = monotonic_s() + SETTLED_WITHIN_S
        while monotonic_s() < deadline_s:
            if all([await self._lag(store) == 0 for store in STORES]):
                return True
            await asyncio.sleep(SETTLE_POLL_S)
        return False

    def sample_memory(self) -> None:
        """What each process holds now."""
        for name, process in self._fleet.processes.items():
            self._note(name, process.pid, process.rss_bytes(), process.restarts)
        own = psutil.Process()
        self._note(DEMO, own.pid, own.memory_info().rss, 0)

    async def payment_outcomes(self) -> Counter[str]:
        """How the payment provider answered billing: tries by status, and by no_reply."""
        return outcomes_of(await self._metrics(BILLING) or [])

    def _sample_rates(self) -> None:
        now = (monotonic_s(), self._ledger.reports, self._ledger.acknowledged)
        passed_s = now[0] - self._before[0]
        self.gauges.reports_per_s = (now[1] - self._before[1]) / passed_s
        self.gauges.events_per_s = (now[2] - self._before[2]) / passed_s
        self._before = now

    def _note(self, name: str, pid: int | None, rss_bytes: int, restarts: int) -> None:
        known = self.gauges.processes.get(name)
        most_bytes = max(rss_bytes, known.most_bytes if known else 0)
        self.gauges.processes[name] = ProcessGauge(pid, rss_bytes, most_bytes, restarts)

    async def _lag(self, store: str) -> int | None:
        metrics = await self._metrics(projections_of(store))
        return None if metrics is None else lag_of(metrics)

    async def _metrics(self, process: str) -> list[str] | None:
        url = f"{self._fleet.url(process)}/metrics"
        try:
            async with self._session.get(url, timeout=aiohttp.ClientTimeout(total=METRICS_TIMEOUT_S)) as response:
                return (await response.text()).splitlines()
        except (aiohttp.ClientError, TimeoutError):
            return None


def lag_of(metrics: Iterable[str]) -> int | None:
    """The sum of a projection's lag over its partitions, out of its metrics in Prometheus' text format; None before
    it was given any.
    """
    lags = [float(line.rpartition(" ")[2]) for line in metrics if line.startswith(LAG)]
    return int(sum(lags)) if lags else None


def outcomes_of(metrics: Iterable[str]) -> Counter[str]:
    """Tries of requests to the payment provider by their outcome, out of billing's metrics."""
    outcomes: Counter[str] = Counter()
    for line in metrics:
        if found := PAYMENT_REQUESTS.match(line):
            outcomes[found[1]] += int(float(found[2]))
    return outcomes
