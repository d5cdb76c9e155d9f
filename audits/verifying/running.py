"""A verification from its beginning to its report: what is left of a run that was interrupted is gone on with."""

import asyncio
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from audits.verifying.attributing import attributed
from audits.verifying.findings import Finding
from audits.verifying.planning import plan
from audits.verifying.tasks import Asked, Reached, Run, Update
from audits.verifying.working import Part, share, work
from infra.clock import monotonic_s, utc_now
from infra.ids import new_id
from infra.settings import Settings

PROGRESS: Final = "audits/verify.json"
Show = Callable[[Run, Update], None]


class NothingToResume(Exception):
    """No run was interrupted, or one that was asked for something else."""


class Progress:
    """The file that says how far a run is, written whole every settings.verify_note_interval_s."""

    def __init__(self, settings: Settings) -> None:
        self.path: Path = settings.state_dir / PROGRESS
        self._interval_s = settings.verify_note_interval_s
        self._noted_s = 0.0

    def read(self) -> Run:
        """What an interrupted run left. Raises NothingToResume."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Run)
        except FileNotFoundError as error:
            raise NothingToResume("no verification was interrupted") from error

    def note(self, run: Run, *, now: bool = False) -> None:
        """Keep how far it is, if it is time."""
        if not now and monotonic_s() - self._noted_s < self._interval_s:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.{new_id()}")
        draft.write_bytes(msgspec.json.encode(run))
        draft.replace(self.path)
        self._noted_s = monotonic_s()

    def end(self) -> None:
        """There is nothing left to go on with."""
        self.path.unlink(missing_ok=True)


async def begin(settings: Settings, asked: Asked, *, resume: bool) -> Run:
    """A run of what is asked; resumed: what another left, with what there is to verify since. Raises NothingToResume,
    and what working.AWAY names.
    """
    tasks = {task.name: Reached(task=task) for task in await plan(settings, asked)}
    if not resume:
        return Run(asked=asked, began=utc_now(), reached=tasks)
    run = Progress(settings).read()
    if run.asked != asked:
        raise NothingToResume("the run that was interrupted was asked for something else")
    for each in run.reached.values():
        each.resumed, each.wrong = bool(each.state) or each.ended, None
    run.reached = {name: run.reached.get(name, reached) for name, reached in tasks.items()}
    run.resumed += 1
    return run


def empty(asked: Asked) -> Run:
    """A run without parts yet."""
    return Run(asked=asked, began=utc_now(), reached={})


def verify(settings: Settings, run: Run, *, jobs: int, show: Show) -> None:
    """Do what is left of a run, noting how far it is, until all is done or it is interrupted: then it may be resumed.
    Blocks.
    """
    progress = Progress(settings)

    def tell(update: Update) -> None:
        run.take(update, settings.verify_findings_max)
        progress.note(run)
        show(run, update)

    left: list[Part] = [(each.task, each.state or None) for each in run.reached.values() if not each.ended]
    if not left:
        return
    try:
        if jobs == 1:
            asyncio.run(work(settings, iter(left), tell))
        else:
            share(settings, left, min(jobs, max(1, len(left))), tell)
    finally:
        progress.note(run, now=True)
    if not run.failed:
        progress.end()
    said = attributed(run.findings)
    run.found -= len(run.findings) - len(said)
    run.findings = said


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was verified of one partition: events, and up to where (offsets, positions and hashes)."""

    part: str
    events: int
    up_to: dict[str, int | str]
    resumed: bool
    failed: str | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed: who verified what and when, and what was found. `whole`: all could be checked, and nothing was
    found; `found`: how many findings there were, of which `findings` are the first.
    """

    by: str
    host: str
    began: str
    ended: str
    asked: Asked
    interruptions: int
    whole: bool
    found: int
    findings: list[Finding]
    verified: list[Verified]


def report_of(run: Run, by: str) -> Report:
    """The report of a run."""
    return Report(
        by=by,
        host=platform.node(),
        began=run.began.isoformat(),
        ended=utc_now().isoformat(),
        asked=run.asked,
        interruptions=run.resumed,
        whole=not run.failed and not run.found,
        found=run.found,
        findings=run.findings,
        verified=[
            Verified(
                part=name,
                events=each.done,
                up_to=each.state,
                resumed=each.resumed,
                failed=None if each.ended else each.wrong or "not finished",
            )
            for name, each in sorted(run.reached.items())
        ],
    )


def status_of(run: Run) -> int:
    """The exit status: 0 whole, 1 findings, 2 something could not be checked."""
    if run.found:
        return 1
    return 2 if run.failed else 0
