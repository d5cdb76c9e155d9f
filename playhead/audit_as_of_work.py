"""What `playhead audit as-of` does: the question parsed, answered, and shown."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
import typer
from rich.table import Column, Table

from audits.as_of import answering
from audits.as_of.answering import RowsAsOf, ViewUnknown
from audits.as_of.asking import CutRefused, cut_of_both, time_of
from audits.as_of.cuts import Cut, Decisive
from audits.as_of.entitled import Entitled, ProfileUnknown
from audits.as_of.holdings import Question, SubscriptionAsOf
from audits.as_of.keys import KeyRefused, parsed
from audits.as_of.rows import NotByKey, TooManyRows, check_by_key
from audits.as_of.streams import StreamAsOf, StreamUnknown
from audits.as_of.titles import TitleAsOf
from audits.history.asked import BadQuestion
from audits.sources import LOG_AWAY, opened
from events.refusals import Refusal
from infra.archive.errors import ArchiveDamaged
from infra.settings import Settings
from playhead.console import fail, out, say

Answer: TypeAlias = StreamAsOf | SubscriptionAsOf | TitleAsOf | Entitled | RowsAsOf
REFUSED: Final = (
    BadQuestion,
    CutRefused,
    KeyRefused,
    NotByKey,
    ProfileUnknown,
    StreamUnknown,
    TooManyRows,
    ViewUnknown,
    ArchiveDamaged,
    Refusal,
)
NOT_ENTITLED: Final = 3
"""The exit status of a no."""


class When(NamedTuple):
    """A cut, as it was typed."""

    at: str | None
    happened_by: str | None
    positions: Sequence[str]

    def cut(self) -> Cut:
        """Raises CutRefused."""
        return cut_of_both(None, known_at=self.at, happened_by=self.happened_by, positions=self.positions)


class Moment(NamedTuple):
    """A moment that is asked about, and by what was known when, as they were typed."""

    at: str
    known_at: str | None

    def cut(self) -> Cut:
        """What was known, and of that what had happened by the moment. Raises CutRefused."""
        at = time_of(self.at)
        return Cut(known_at=at if self.known_at is None else time_of(self.known_at), happened_by=at)


class Whether(NamedTuple):
    """Who might watch what, where."""

    account: str
    title: str
    territory: str | None
    profile: str | None


async def stream(settings: Settings, name: str, when: When, version: int | None) -> StreamAsOf:
    """A stream. A version alone is a cut, too."""
    cut = Cut() if version is not None and not any(when) else when.cut()
    async with opened(settings) as sources:
        return await answering.stream(sources, name, cut, at_version=version)


async def subscription(settings: Settings, account: str, moment: Moment) -> SubscriptionAsOf:
    """What an account held."""
    question = Question(account_id=account, at=time_of(moment.at))
    async with opened(settings) as sources:
        return await answering.subscription(sources, question, moment.cut())


async def title(settings: Settings, title_id: str, territory: str | None, moment: Moment) -> TitleAsOf:
    """What the catalog said."""
    where, cut = territory or settings.default_territory, moment.cut()
    async with opened(settings) as sources:
        return await answering.title(sources, title_id, cut, at=time_of(moment.at), territory=where)


async def entitled(settings: Settings, whether: Whether, moment: Moment) -> Entitled:
    """Who might watch what."""
    question = Question(
        account_id=whether.account,
        at=time_of(moment.at),
        title_id=whether.title,
        territory=whether.territory or settings.default_territory,
        profile_id=whether.profile,
    )
    async with opened(settings) as sources:
        return await answering.entitled(sources, question, moment.cut())


async def rows(settings: Settings, name: str, key: Sequence[str], when: When) -> RowsAsOf:
    """Rows of a view."""
    view = answering.view_of(settings, name)
    check_by_key(view)
    async with opened(settings) as sources:
        return await answering.rows(sources, view, parsed(view, key), when.cut())


def run(asking: Coroutine[Any, Any, Answer], *, as_json: bool) -> None:
    """Ask, and show the answer; refusals are told in one line."""
    try:
        answer = asyncio.run(asking)
    except REFUSED as refused:
        raise fail(str(refused)) from refused
    except LOG_AWAY as error:
        raise fail(f"it could not be read: {error!r}") from error
    if as_json:
        typer.echo(msgspec.json.encode(answer, enc_hook=str).decode())
    else:
        show(answer)
    if isinstance(answer, Entitled) and not answer.entitled:
        raise typer.Exit(NOT_ENTITLED)


def show(answer: Answer) -> None:
    """The answer in a few lines, and the events that made it so."""
    for line in told(answer):
        say(line)
    say(f"made so by {len(answer.events)} events:" if answer.events else "no event says anything of it")
    if answer.events:
        out.print(_table(answer.events), highlight=False, markup=False)


def told(answer: Answer) -> list[str]:
    """What an answer says, but for its events."""
    match answer:
        case StreamAsOf():
            state = msgspec.json.format(msgspec.json.encode(answer.state, enc_hook=str)).decode()
            return [f"{answer.stream} at version {answer.version}; {answer.later} events came later", state]
        case SubscriptionAsOf():
            return _told_of_holdings(answer)
        case TitleAsOf():
            return _told_of_title(answer)
        case Entitled():
            why = answer.by if answer.entitled else answer.refused
            where = f" in {answer.territory}" if answer.territory else ""
            says = f"{'yes' if answer.entitled else 'no'} ({why}): {answer.reason}"
            return [f"{answer.account_id}, {answer.title_id}{where}, {answer.at.isoformat()}", says]
        case RowsAsOf():
            rows = [msgspec.json.encode(row, enc_hook=str).decode() for row in answer.rows]
            failed = [f"{place} could not be folded: {why}" for place, why in answer.failed]
            more = [f"changed {answer.changes} times"] if answer.changes > len(answer.events) else []
            return [*answer.lacks, *failed, *(rows or [f"{answer.view} had no such row"]), *more]


def _told_of_holdings(answer: SubscriptionAsOf) -> list[str]:
    until = f" until {answer.access_until.isoformat()}" if answer.access_until else ""
    subscribed = f"{answer.status}, {'with' if answer.access else 'without'} access{until}"
    owned = [f"{one.purchase_id}: {one.kind} of {one.title_id}, {one.status}" for one in answer.purchases]
    return [
        f"{answer.account_id}, {answer.at.isoformat()}: {subscribed if answer.status else 'no subscription'}",
        *owned,
    ]


def _told_of_title(answer: TitleAsOf) -> list[str]:
    where = "somewhere" if answer.territory is None else answer.territory
    status = answer.title.status if answer.title else "unknown"
    available = {None: "nobody said where", True: f"available in {where}", False: f"not available in {where}"}
    rated = "not rated" if answer.minimum_age is None else f"from {answer.minimum_age} years"
    licences = f" ({', '.join(answer.licences)})" if answer.licences else ""
    opens = f"; a window opens {answer.opens_at.isoformat()}" if answer.opens_at else ""
    says = f"{status}, {available[answer.available]}{licences}{opens}, {rated}"
    return [f"{answer.title_id}, {answer.at.isoformat()}: {says}"]


def _table(events: Sequence[Decisive]) -> Table:
    whole = [Column(name, no_wrap=True) for name in ("place", "id")]  # for whoever goes on with them
    folded = [Column(name, overflow="fold") for name in ("event", "of", "by")]
    table = Table(Column("time", no_wrap=True), *folded, *whole, box=None)
    for event in events:
        taken = "" if event.time == event.recorded_time else f"\ntaken {_at(event.recorded_time)}"
        table.add_row(f"{_at(event.time)}{taken}", event.type, event.about, event.actor or "", event.place, event.id)
    return table


def _at(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
