"""What `playhead audit verify`, checkpoint, keys, prove and report do, and how they show it."""

import asyncio
import getpass
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from audits.verifying import checkpointing, running
from audits.verifying.checkpoints import Stored
from audits.verifying.findings import Store
from audits.verifying.keys import SigningKeys
from audits.verifying.planning import TOPICS_OF_ALL
from audits.verifying.proofs import NotProved, place_of_event, place_of_position, prove
from audits.verifying.running import NothingToResume, Report, report_of, status_of
from audits.verifying.signed import NotSigned, opened, sign
from audits.verifying.tasks import Asked, Reached, Run, Task, Update
from audits.verifying.working import AWAY
from infra.archive.errors import ArchiveDamaged
from infra.archive.store import Archive
from infra.clock import monotonic_s
from infra.positions import BadPosition, parse_positions
from infra.postgres import Role, connect_pool
from infra.settings import Settings
from playhead.console import fail, out, say

T = TypeVar("T")
LINE_EVERY_S: Final = 5.0
UNCHECKED: Final = 2


class Wanted(NamedTuple):
    """What is to be verified, and how. `views`: "all", or names by commas; None: none."""

    parts: tuple[str, ...]
    topics: tuple[str, ...] = ()
    partitions: tuple[int, ...] = ()
    views: str | None = None
    jobs: int = 1
    resume: bool = False
    report: Path | None = None
    by: str | None = None


def run_verify(settings: Settings, wanted: Wanted) -> int:
    """The exit status."""
    stores = tuple(Store(part) for part in wanted.parts if part != Store.VIEWS)
    asked = Asked(only=stores, topics=wanted.topics, partitions=wanted.partitions)
    if unknown := set(wanted.topics) - set(TOPICS_OF_ALL):
        raise _unchecked(f"there is no topic {', '.join(sorted(unknown))}; there are {', '.join(TOPICS_OF_ALL)}")
    run = _begun(settings, asked, resume=wanted.resume)
    try:
        with _showing(run) as show:
            running.verify(settings, run, jobs=wanted.jobs, show=show)
    except KeyboardInterrupt:
        say("interrupted; --resume goes on from here")
        return UNCHECKED
    if wanted.views is not None:
        asyncio.run(_verify_views(settings, run, wanted.views))
    _tell(run)
    if wanted.report is not None:
        report = report_of(run, wanted.by or getpass.getuser())
        wanted.report.write_bytes(sign(msgspec.json.encode(report), SigningKeys(settings)))
        say(f"report: {wanted.report}; `playhead audit report {wanted.report}` checks it")
    return status_of(run)


def _begun(settings: Settings, asked: Asked, *, resume: bool) -> Run:
    try:
        if not asked.only:
            return running.empty(asked)
        run = asyncio.run(running.begin(settings, asked, resume=resume))
    except NothingToResume as error:
        raise _unchecked(str(error)) from error
    except AWAY as error:
        raise _unchecked(error) from error
    if resume:
        over = sum(each.ended for each in run.reached.values())
        say(f"going on with the run of {run.began:%Y-%m-%d %H:%M}: {over} of {len(run.reached)} parts are verified")
    return run


async def _verify_views(settings: Settings, run: Run, views: str) -> None:
    from audits.verifying import of_views  # noqa: PLC0415 - the projections are heavy
    from playhead.view_versions import REFUSALS, groups_of  # noqa: PLC0415

    groups = groups_of(settings)
    names = list(groups) if views == "all" else [name.strip() for name in views.split(",")]
    if unknown := set(names) - set(groups):
        raise _unchecked(f"there is no view {', '.join(sorted(unknown))}; there are {', '.join(groups)}")
    for name in names:
        task = Task(store=Store.VIEWS, topic=name)
        run.reached[task.name] = Reached(task=task)
        try:
            update = await of_views.check(settings, groups[name], task.name)
        except REFUSALS as error:
            update = Update(task=task.name, wrong=f"{type(error).__name__}: {error}")
        run.take(update, settings.verify_findings_max)
        said = update.wrong or f"{update.done} rows" + (", different" if update.findings else ", as a replay has them")
        say(f"{task.name}: {said}")


def run_checkpoint(settings: Settings) -> None:
    """Take one, and say which."""

    async def take() -> Stored | None:
        pool = await connect_pool(settings, role=Role.AUDITS, size=1)
        try:
            return await checkpointing.take(settings, Archive.open(settings), pool)
        finally:
            await pool.close()

    stored = _run(take())
    if stored is None:
        say("nothing was archived or recorded since the newest checkpoint")
        return
    made = stored.checkpoint
    records = sum(each.size for each in made.ranges)
    say(f"checkpoint {made.number}: {records} records of {len(made.ranges)} partitions, {len(made.heads)} log heads")
    say(f"sha256 {stored.digest}")


def run_keys(settings: Settings, *, rotate: bool) -> None:
    """Show the ring, with one more key if asked."""
    keys = SigningKeys(settings)
    keys.signing()
    if rotate:
        added = keys.ring.add()
        say(f"{added.kid} signs once it is {settings.keys_announced_s:g} s old")
    signing, published = keys.signing().kid, Archive.open(settings).files_of_store
    with_published = keys.trusted()
    keys.publish(published)
    held = {key.kid for key in keys.ring.known()}
    for key in with_published.values():
        does = "signs" if key.key_id == signing else "may sign" if key.key_id in held else "verifies"
        say(f"{key.key_id}  made {key.made_at}  {does}  checkpoints/keys/{key.key_id}.json")


def run_prove(settings: Settings, event: str, *, leaf_only: bool) -> None:
    """Print the proof."""
    archive = Archive.open(settings)
    try:
        if ":" in event:
            topic, partition, offset = place_of_position(archive, parse_positions(event)[0])
        else:
            topic, partition, offset = place_of_event(archive, event)
        proof = prove(archive, SigningKeys(settings).trusted(), topic, partition, offset, leaf_only=leaf_only)
    except (NotProved, NotSigned, ArchiveDamaged, BadPosition, *AWAY) as error:
        raise fail(str(error)) from error
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(proof), indent=2) + b"\n")


def run_report(settings: Settings, file: Path) -> int:
    """The exit status."""
    try:
        report = msgspec.json.decode(opened(file.read_bytes(), SigningKeys(settings).trusted()), type=Report)
    except OSError as error:
        raise fail(f"{file} cannot be read: {error}") from error
    except NotSigned as error:
        say(f"{file} {error}")
        return 1
    say(f"verified by {report.by} on {report.host}, {report.began} to {report.ended}: {_summary(report)}")
    for finding in report.findings:
        say(f"  {finding.told()}")
    return 0


def _summary(report: Report) -> str:
    events = sum(each.events for each in report.verified)
    failed = [each.part for each in report.verified if each.failed]
    told = "whole" if report.whole else f"{report.found} findings"
    return f"{events} events in {len(report.verified)} parts, {told}" + (
        f"; not checked: {', '.join(failed)}" if failed else ""
    )


def _tell(run: Run) -> None:
    for finding in run.findings:
        say(finding.told())
    if run.found > len(run.findings):
        say(f"... {run.found} findings in all; PLAYHEAD_VERIFY_FINDINGS_MAX are told")
    for failed in run.failed:
        say(f"not checked: {failed}")
    if run.failed:
        say("--resume goes on with what is left")
    events = sum(each.done for each in run.reached.values())
    stores = sorted({each.task.store.value for each in run.reached.values()})
    whole = "whole" if not run.found else f"{len(run.findings)} findings"
    ended = "incomplete" if run.failed else whole
    say(f"{events} events in {len(run.reached)} parts of {', '.join(stores)}: {ended}")


@contextmanager
def _showing(run: Run) -> Iterator[Callable[[Run, Update], None]]:
    """A bar where there is a terminal; else a line now and then, of how far it is."""
    total = sum(max(each.task.total, each.done) for each in run.reached.values())
    if not out.is_terminal:
        yield _Lines(total).show
        return
    with Bar(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=out
    ) as bar:
        shown = bar.add_task("verifying", total=max(total, 1))

        def show(run: Run, update: Update) -> None:
            bar.update(shown, completed=_done(run), description=f"{update.task}, {run.found} findings")

        yield show


class _Lines:
    def __init__(self, total: int) -> None:
        self._total = total
        self._said_s = monotonic_s()

    def show(self, run: Run, update: Update) -> None:
        """Say how far it is, if it is time."""
        if monotonic_s() - self._said_s >= LINE_EVERY_S:
            self._said_s = monotonic_s()
            say(f"{_done(run)} of about {self._total} events, at {update.task}, {run.found} findings")


def _done(run: Run) -> int:
    return sum(each.done for each in run.reached.values())


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(coroutine)
    except (NotSigned, ArchiveDamaged) as error:
        raise fail(f"{error}; `playhead audit verify` tells more") from error
    except AWAY as error:
        raise _unchecked(error) from error


def _unchecked(why: Exception | str) -> Exception:
    """What to raise where nothing could be checked."""
    told = why if isinstance(why, str) else f"a store does not answer: {type(why).__name__}: {why}"
    failed = fail(told)
    failed.exit_code = UNCHECKED
    return failed
