"""The demo from its first line to its exit status: set up, spend the evening, tidy up."""

import asyncio
import signal
from dataclasses import dataclass
from typing import Final

from infra.clock import monotonic_s
from infra.local import LocalServerError
from infra.migrate import Unmigrated
from infra.settings import Settings
from playhead.console import fail, say
from playhead.demo import closing
from playhead.demo.api import NotTaken, Refused, connect
from playhead.demo.course import Course, Ended, Plan
from playhead.demo.people.doors import show_doors
from playhead.demo.publishing import PublishingRefused
from playhead.demo.stage import StageTaken, stage
from playhead.processes import Fleet, ProcessFailed

INTERRUPTED: Final = 130
VERIFIED: Final = ("archive", "checkpoints", "kafka", "log")
EXPECTED: Final = (StageTaken, LocalServerError, Unmigrated, ProcessFailed, PublishingRefused, Refused, NotTaken)
"""What may go wrong on someone's machine: told without a traceback."""


@dataclass(frozen=True)
class Evening(Plan):
    """What to play, and whether to leave everything running (`keep`)."""

    keep: bool = False


def run(settings: Settings, evening: Evening) -> int:
    """The whole demo; its exit status: 0 when views hold what was acknowledged and history is whole, 1 otherwise."""
    began_s = monotonic_s()
    on_sigterm = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with stage(settings, keep=evening.keep) as fleet:
            ended = asyncio.run(_spend(fleet, evening))
            whole = _is_whole(fleet.settings)
            if evening.keep:
                closing.show_kept(fleet)
                show_doors(fleet, ended.house)
    except KeyboardInterrupt:
        say("Interrupted; what the demo started was stopped.")
        return INTERRUPTED
    except EXPECTED as error:
        return fail(str(error)).exit_code
    finally:
        signal.signal(signal.SIGTERM, on_sigterm)
    closing.show_end(equal=ended.equal, whole=whole, kept=evening.keep, took_s=monotonic_s() - began_s)
    return 0 if ended.equal and whole else 1


def _is_whole(settings: Settings) -> bool:
    """Whether log, Kafka and archive say the same, which an auditor would ask now."""
    from playhead.audit_verifying import Wanted, run_verify  # noqa: PLC0415 - heavy, and not needed while it plays

    say("playhead audit verify:")
    return run_verify(settings, Wanted(parts=VERIFIED)) == 0


async def _spend(fleet: Fleet, plan: Plan) -> Ended:
    """Spend the evening while the processes are looked after."""
    async with connect() as session:
        watching = asyncio.create_task(fleet.watch())
        spending = asyncio.create_task(Course(fleet, plan, session).run())
        try:
            done, _ = await asyncio.wait((watching, spending), return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
            return spending.result()
        finally:
            watching.cancel()
            spending.cancel()
            await asyncio.gather(watching, spending, return_exceptions=True)
