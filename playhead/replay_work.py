"""What `playhead replay` does: a plan made or gone on with, carried out with a bar, noted as it goes, and summed up."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from aiokafka.errors import KafkaError
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from audits.history.asked import Asked, BadQuestion, unknown_types
from audits.history.events import HistoryEvent
from audits.history.reading import Reading, begun
from audits.replaying.destinations import (
    Destination,
    DestinationAway,
    DestinationRefused,
    ToTopic,
    ToUrl,
    check_topic,
)
from audits.replaying.journal import Noted, Plan, UnknownReplay, note, read
from audits.replaying.pace import BadPace, pace_of
from audits.replaying.replaying import Replay
from audits.sources import Source, SourceAway, opened
from infra.archive.errors import ArchiveDamaged
from infra.clock import monotonic_s
from infra.cursors import BadCursor
from infra.ids import new_id
from infra.settings import Settings
from playhead.console import err, fail, say

REFUSALS = (BadQuestion, BadPace, UnknownReplay, DestinationRefused, BadCursor)
STOPS = (DestinationAway, SourceAway, ArchiveDamaged, KafkaError, OSError)


class Forced(NamedTuple):
    """What was said about live topics."""

    is_forced: bool = False
    confirmed: str | None = None


UNFORCED: Final = Forced()


@dataclass(frozen=True)
class Wanted:
    """The command's options. `which`: by the fields of Asked."""

    which: Mapping[str, tuple[str, ...]]
    between: tuple[datetime | None, datetime | None] = (None, None)
    topic: str | None = None
    url: str | None = None
    speed: str | None = None
    rate: str | None = None
    without: tuple[str, ...] = ()
    headers_file: Path | None = None
    resume: str | None = None
    forced: Forced = UNFORCED


def run(settings: Settings, wanted: Wanted) -> int:
    """Replay; the exit status."""
    replay_id = wanted.resume or new_id()
    try:
        noted = read(replay_id, settings) if wanted.resume else Noted(plan=_plan(wanted, settings))
        if noted.is_done:
            return fail(f"Replay {replay_id} is done.").exit_code
        destination = _destination(noted.plan, wanted, replay_id, settings)
        return asyncio.run(Course(replay_id, noted, settings).run(destination))
    except REFUSALS as refused:
        return fail(str(refused)).exit_code
    except KeyboardInterrupt:
        fail(f"Interrupted. playhead replay --resume {replay_id} goes on.")
        return 130


class Course:
    """One run of a replay."""

    def __init__(self, replay_id: str, noted: Noted, settings: Settings) -> None:
        self._id = replay_id
        self._noted = noted
        self._settings = settings

    async def run(self, destination: Destination) -> int:
        """Send what is left; the exit status. Raises what the plan is refused with."""
        plan, began_s = self._noted.plan, monotonic_s()
        replay = Replay(destination, pace_of(plan.speed, plan.rate), self._settings)
        failure: BaseException | None = None
        try:
            await destination.open()
            async with (
                opened(self._settings, without=plan.without) as sources,
                begun(sources, plan.asked, after=self._noted.cursor) as reading,
            ):
                for line in reading.lacks:
                    say(line)
                failure = await self._carry_out(replay, reading)
        except STOPS as error:
            failure = error
        finally:
            await destination.close()
        return self._sum_up(replay, failure, monotonic_s() - began_s)

    async def _carry_out(self, replay: Replay, reading: Reading) -> BaseException | None:
        """Send, noting how far it is; why it stopped before the end, or None."""
        showing = asyncio.create_task(self._show(replay, reading))
        try:
            await replay.run(_events(reading))
        except STOPS as error:
            return error
        else:
            self._noted = msgspec.structs.replace(self._noted, is_done=True)
            return None
        finally:
            showing.cancel()
            with suppress(asyncio.CancelledError):
                await showing
            self._note(replay, reading)

    async def _show(self, replay: Replay, reading: Reading) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=err, disable=not err.is_terminal) as bar:
            task = bar.add_task("replaying", total=max(reading.total, 1))
            while True:
                bar.update(task, completed=reading.done, description=f"{replay.told.sent} sent")
                await asyncio.sleep(self._settings.replay_note_interval_s)
                self._note(replay, reading)

    def _note(self, replay: Replay, reading: Reading) -> None:
        cursor = self._noted.cursor if replay.taken is None else reading.cursor(replay.taken)
        note(self._id, msgspec.structs.replace(self._added(replay), cursor=cursor), self._settings)

    def _added(self, replay: Replay) -> Noted:
        """What was noted before this run, and what this run came to."""
        refused = Counter(self._noted.refused) + replay.told.refused
        sent = self._noted.sent + replay.told.sent
        return msgspec.structs.replace(self._noted, sent=sent, refused=dict(refused))

    def _sum_up(self, replay: Replay, failure: BaseException | None, took_s: float) -> int:
        told, total = replay.told, self._added(replay)
        rate = told.sent / took_s if took_s > 0 else 0.0
        say(f"Replay {self._id}: {told.sent} events taken in {took_s:.1f} s ({rate:,.0f}/s), {total.sent} in all.")
        if told.late_s >= 1:
            say(f"At times {told.late_s:.1f} s later than they were due: the destination, or the reading, was slower.")
        for why, count in total.refused.items():
            say(f"Refused: {count} ({why}).")
        if failure is not None:
            return fail(f"{failure}. Mend that; playhead replay --resume {self._id} goes on.").exit_code
        return 1 if total.refused else 0


async def _events(reading: Reading) -> AsyncIterator[HistoryEvent]:
    async for event in reading.events():
        yield event


def _plan(wanted: Wanted, settings: Settings) -> Plan:
    if (wanted.topic is None) == (wanted.url is None):
        raise DestinationRefused("Say where to: --to-topic TOPIC or --to-url URL.")
    unknown = sorted(set(wanted.without) - set(Source))
    if unknown:
        raise DestinationRefused(f"There is no source {unknown[0]!r}; there are {', '.join(Source)}.")
    pace_of(wanted.speed, wanted.rate)
    since, until = (each and (each if each.tzinfo else each.replace(tzinfo=UTC)) for each in wanted.between)
    asked = msgspec.convert({**wanted.which, "since": since, "until": until}, Asked).checked(settings)
    if mistyped := unknown_types(asked.types):
        raise DestinationRefused(f"There is no type {mistyped[0]!r}; schemas/ has them all.")
    return Plan(
        asked=asked,
        topic=wanted.topic,
        url=wanted.url,
        speed=wanted.speed,
        rate=wanted.rate,
        without=tuple(map(Source, wanted.without)),
    )


def _destination(plan: Plan, wanted: Wanted, replay_id: str, settings: Settings) -> Destination:
    if plan.topic is not None:
        check_topic(plan.topic, forced=wanted.forced.is_forced, confirmed=wanted.forced.confirmed)
        return ToTopic(plan.topic, replay_id, settings)
    url = plan.url or ""
    if not url.startswith(("http://", "https://")):
        raise DestinationRefused(f"{url!r} is no http:// or https:// URL.")
    return ToUrl(url, replay_id, settings, _headers(wanted.headers_file))


def _headers(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    if bad := [number for number, line in enumerate(lines, 1) if ":" not in line]:
        raise DestinationRefused(f"{file}, line {bad[0]}: a header is written Name: value.")
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
