"""What the demo shows while it plays: a live table on a terminal, a plain line every few seconds elsewhere."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from infra.settings import MIB
from playhead.console import out, say
from playhead.demo.gauges import Gauges, ProcessGauge
from playhead.demo.ledger import Ledger
from playhead.demo.watching.evening_clock import EveningClock
from playhead.demo.watching.freshness import Freshness
from playhead.demo.watching.player import Viewer

REFRESH_S: Final = 0.5
LINE_EVERY_S: Final = 3.0


@dataclass(frozen=True)
class Playing:
    """Everything that is looked at while the evening plays."""

    ledger: Ledger
    gauges: Gauges
    viewers: Sequence[Viewer]
    freshness: Freshness
    clock: EveningClock


async def show(playing: Playing) -> None:
    """Show for ever."""
    if out.is_terminal:
        with Live(_screen(playing), console=out, auto_refresh=False, transient=True) as live:
            while True:
                await asyncio.sleep(REFRESH_S)
                live.update(_screen(playing), refresh=True)
    while True:
        await asyncio.sleep(LINE_EVERY_S)
        say(line(playing))


def line(playing: Playing) -> str:
    """The evening in a line."""
    gauges, memory = playing.gauges, sum(one.rss_bytes for one in playing.gauges.processes.values())
    return (
        f"{_time(playing.clock)}  {_watching(playing)} watching  {gauges.reports_per_s:.0f} reports/s  "
        f"{gauges.events_per_s:.0f} events/s  {playing.ledger.acknowledged} acknowledged  lag {_lag(gauges)}  "
        f"freshness {_freshness(playing.freshness)}  {memory // MIB} MB"
    )


def _screen(playing: Playing) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    facts.add_row("evening", _time(playing.clock))
    facts.add_row("viewers", f"{_watching(playing)} watching of {len(playing.viewers)}")
    facts.add_row("reports", f"{playing.gauges.reports_per_s:.0f}/s, {playing.ledger.reports} sent")
    facts.add_row("events", f"{playing.gauges.events_per_s:.0f}/s, {playing.ledger.acknowledged} acknowledged")
    facts.add_row("lag", f"{_lag(playing.gauges)} records")
    facts.add_row("freshness", _freshness(playing.freshness))
    return Group(Text("Playhead: an evening of simulated viewers", style="bold"), facts, _processes(playing.gauges))


def _processes(gauges: Gauges) -> Table:
    table = Table("process", "pid", "memory", "restarts", box=None)
    for name, process in gauges.processes.items():
        table.add_row(name, _pid(process), f"{process.rss_bytes // MIB} MB", str(process.restarts or ""))
    return table


def _pid(process: ProcessGauge) -> str:
    return "ended" if process.pid is None else str(process.pid)


def _time(clock: EveningClock) -> str:
    """The simulated time of the evening, which begins at eight, and how much of it has passed."""
    now_ms = min(clock.now_ms, clock.length_ms)
    hours, minutes = divmod(20 * 60 + now_ms // 60_000, 60)
    return f"{hours % 24:02}:{minutes:02} ({100 * now_ms // clock.length_ms:3} %)"


def _watching(playing: Playing) -> int:
    return sum(viewer.watching for viewer in playing.viewers)


def _lag(gauges: Gauges) -> str:
    return " ".join(f"{store} {'-' if lag is None else lag}" for store, lag in gauges.lag.items()) or "-"


def _freshness(freshness: Freshness) -> str:
    p50, p99 = freshness.percentile_ms(0.5), freshness.percentile_ms(0.99)
    return "-" if p50 is None or p99 is None else f"p50 {p50:.0f} ms p99 {p99:.0f} ms"
