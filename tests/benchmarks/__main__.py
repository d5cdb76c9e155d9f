"""`python -m tests.benchmarks [NAME...]`: runs the benchmarks and prints one table. It fails only when something
broke, never because something was slow.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Annotated, TypeAlias

import typer
import uvloop

from tests.benchmarks import (
    append,
    archive,
    cmcd,
    continue_watching,
    curve,
    eventsourcing,
    freshness,
    history,
    ingest,
    leases,
    memory,
    projector,
    publishing,
    reads,
    rebuild,
    relay,
    replies,
    tokens,
    verify,
)
from tests.benchmarks.bench import Bench, opened
from tests.benchmarks.results import Line, show


class Name(StrEnum):
    """The benchmarks."""

    INGEST = "ingest"
    CMCD = "cmcd"
    PROJECTOR = "projector"
    REBUILD = "rebuild"
    RELAY = "relay"
    FRESHNESS = "freshness"
    PUBLISHING = "publishing"
    APPEND = "append"
    EVENTSOURCING = "eventsourcing"
    HISTORY = "history"
    READS = "reads"
    REPLIES = "replies"
    CONTINUE_WATCHING = "continue-watching"
    TOKENS = "tokens"
    ARCHIVE = "archive"
    LEASES = "leases"
    VERIFY = "verify"
    MEMORY = "memory"
    CURVE = "curve"


app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)
Benchmark: TypeAlias = Callable[[Bench], Awaitable[list[Line]]]
BENCHMARKS: dict[Name, Benchmark] = {
    Name.INGEST: ingest.run,
    Name.CMCD: cmcd.run,
    Name.PROJECTOR: projector.run,
    Name.REBUILD: rebuild.run,
    Name.RELAY: relay.run,
    Name.FRESHNESS: freshness.run,
    Name.PUBLISHING: publishing.run,
    Name.APPEND: append.run,
    Name.EVENTSOURCING: eventsourcing.run,
    Name.HISTORY: history.run,
    Name.READS: reads.run,
    Name.REPLIES: replies.run,
    Name.CONTINUE_WATCHING: continue_watching.run,
    Name.TOKENS: tokens.run,
    Name.LEASES: leases.run,
    Name.ARCHIVE: archive.run,
    Name.VERIFY: verify.run,
}
"""Those that run when none is named; MEMORY and CURVE take as long as they are told to."""


@app.command()
def main(
    names: Annotated[list[Name] | None, typer.Argument(help="which to run; none: all but memory and curve")] = None,
    minutes: Annotated[float, typer.Option(help="how long `memory` takes")] = 10.0,
    events: Annotated[int, typer.Option(help="how far `curve` goes")] = 1_000_000,
) -> None:
    """Measure Playhead against bare loops and print the ratios.

    Starts its own servers in .playhead/, unless PLAYHEAD_KAFKA_BOOTSTRAP and the like name some: those are written to.
    """
    benchmarks = {
        **BENCHMARKS,
        Name.MEMORY: lambda bench: memory.run(bench, minutes),
        Name.CURVE: lambda bench: curve.run(bench, events),
    }
    uvloop.run(_run([benchmarks[name] for name in names or BENCHMARKS]))


async def _run(benchmarks: list[Benchmark]) -> None:
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)  # servers end with the run
    lines: list[Line] = []
    async with opened() as bench:
        for benchmark in benchmarks:
            lines += await benchmark(bench)
    show([*lines, *bench.memory()])


if __name__ == "__main__":
    app()
