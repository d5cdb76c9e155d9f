"""`python -m tests.benchmarks [NAME...]`: runs the benchmarks and prints one table. It fails only when something
broke, never because something was slow.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Annotated

import typer
import uvloop

from tests.benchmarks import append, cmcd, eventsourcing, freshness, ingest, leases, projector, reads, relay, tokens
from tests.benchmarks.bench import Bench, opened
from tests.benchmarks.results import Line, show


class Name(StrEnum):
    """The benchmarks."""

    INGEST = "ingest"
    CMCD = "cmcd"
    PROJECTOR = "projector"
    RELAY = "relay"
    FRESHNESS = "freshness"
    APPEND = "append"
    EVENTSOURCING = "eventsourcing"
    READS = "reads"
    TOKENS = "tokens"
    LEASES = "leases"


app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)
BENCHMARKS: dict[Name, Callable[[Bench], Awaitable[list[Line]]]] = {
    Name.INGEST: ingest.run,
    Name.CMCD: cmcd.run,
    Name.PROJECTOR: projector.run,
    Name.RELAY: relay.run,
    Name.FRESHNESS: freshness.run,
    Name.APPEND: append.run,
    Name.EVENTSOURCING: eventsourcing.run,
    Name.READS: reads.run,
    Name.TOKENS: tokens.run,
    Name.LEASES: leases.run,
}


@app.command()
def main(
    names: Annotated[list[Name] | None, typer.Argument(help="which to run; none: all")] = None,
) -> None:
    """Measure Playhead against bare loops and print the ratios.

    Starts its own servers in .playhead/, unless PLAYHEAD_KAFKA_BOOTSTRAP and the like name some: those are written to.
    """
    uvloop.run(_run(names or list(Name)))


async def _run(names: list[Name]) -> None:
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)  # servers end with the run
    lines: list[Line] = []
    async with opened() as bench:
        for name in names:
            lines += await BENCHMARKS[name](bench)
    show([*lines, *bench.memory()])


if __name__ == "__main__":
    app()
