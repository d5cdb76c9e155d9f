"""The life of one title: draft, scheduled, published, withdrawn, discarded. Pure, the same for every kind."""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from commands.catalog.changes import changed, differing
from commands.catalog.commands import (
    DiscardTitle,
    GoingOn,
    PublishDueTitle,
    PublishTitle,
    ReviseTitle,
    ScheduleTitle,
    UnscheduleTitle,
    WithdrawTitle,
)
from commands.catalog.details import check_complete, check_details
from commands.catalog.refusals import (
    AlreadyPublished,
    AlreadyWithdrawn,
    PublishTimePast,
    TitleIsDiscarded,
    TitleIsScheduled,
    TitleNotPublished,
    TitleNotScheduled,
    TitleUnknown,
    TitleWasPublished,
)
from commands.catalog.state import TitleState
from events.catalog import (
    AnyTitleEvent,
    TitleDiscarded,
    TitlePublished,
    TitleRevised,
    TitleScheduled,
    TitleUnscheduled,
    TitleWithdrawn,
)
from events.titles import EpisodePlace, Season, Status, TitleDetails
from events.types import TitleId


@dataclass(frozen=True)
class Subject:
    """The title that a command is about, as it stands in its stream; `title`: None when it was never begun.

    `seasons`: of a series, for its readers.
    """

    title_id: TitleId
    place: EpisodePlace | None
    title: TitleState | None
    seasons: tuple[Season, ...] = ()


def live(command: GoingOn, subject: Subject, now: datetime) -> list[AnyTitleEvent]:
    """The events that a command to a title that was begun leads to; none when it is already so."""
    if subject.title is None:
        raise TitleUnknown(f"no title {command.title_id} was begun here; draft it first")
    if subject.title.status is not Status.DISCARDED:
        return _live_on(command, subject, subject.title, now)
    if isinstance(command, DiscardTitle):
        return []
    raise TitleIsDiscarded(f"the draft {command.title_id} was discarded; begin another")


def _live_on(  # noqa: PLR0911 - a routing table
    command: GoingOn, subject: Subject, title: TitleState, now: datetime
) -> list[AnyTitleEvent]:
    match command:
        case ReviseTitle(changes=changes):
            return revise(changed(title.details, changes), subject, title)
        case ScheduleTitle(publish_at=publish_at):
            return schedule(publish_at, subject, title, now)
        case UnscheduleTitle():
            return _unschedule(title)
        case PublishTitle():
            return publish(subject, title)
        case PublishDueTitle(publish_at=publish_at):
            due = title.publish_at is not None and title.publish_at == publish_at <= now
            return publish(subject, title) if due else []
        case WithdrawTitle(reason=reason):
            return _withdraw(reason, title)
        case DiscardTitle():
            return _discard(title)
        case _:
            assert_never(command)


def revise(details: TitleDetails, subject: Subject, title: TitleState) -> list[AnyTitleEvent]:
    """The title with these details."""
    check_details(title.title_id, title.kind, details)
    if title.status in (Status.SCHEDULED, Status.PUBLISHED):
        check_complete(title.kind, details)
    fields = differing(title.details, details)
    if not fields:
        return []
    return [
        TitleRevised(
            title_id=title.title_id,
            kind=title.kind,
            place=subject.place,
            details=details,
            revision=title.revision + 1,
            changed=fields,
            status=title.status,
        )
    ]


def schedule(publish_at: datetime, subject: Subject, title: TitleState, now: datetime) -> list[AnyTitleEvent]:
    """The title with a time to be published at, which is ahead."""
    if title.status is Status.PUBLISHED:
        raise AlreadyPublished(f"{title.title_id} is published; withdraw it first, if it is to come back later")
    if title.publish_at == publish_at:
        return []
    if publish_at <= now:
        raise PublishTimePast(f"publish_at is {publish_at} and it is {now}; publish now, or name a time ahead")
    check_complete(title.kind, title.details)
    return [
        TitleScheduled(
            title_id=title.title_id,
            kind=title.kind,
            place=subject.place,
            details=title.details,
            revision=title.revision,
            publish_at=publish_at,
        )
    ]


def _unschedule(title: TitleState) -> list[AnyTitleEvent]:
    if title.status is Status.PUBLISHED:
        raise TitleNotScheduled(f"{title.title_id} is published; withdraw it, if viewers are not to see it")
    if title.status is not Status.SCHEDULED:
        return []
    status = Status.WITHDRAWN if title.was_published else Status.DRAFT
    return [TitleUnscheduled(title_id=title.title_id, kind=title.kind, place=title.place, status=status)]


def publish(subject: Subject, title: TitleState) -> list[AnyTitleEvent]:
    """The title for viewers to see."""
    if title.status is Status.PUBLISHED:
        return []
    check_complete(title.kind, title.details)
    return [
        TitlePublished(
            title_id=title.title_id,
            kind=title.kind,
            place=subject.place,
            details=title.details,
            revision=title.revision,
            seasons=subject.seasons,
        )
    ]


def _withdraw(reason: str, title: TitleState) -> list[AnyTitleEvent]:
    if title.status is Status.PUBLISHED:
        return [TitleWithdrawn(title_id=title.title_id, kind=title.kind, place=title.place, reason=reason)]
    if title.status is not Status.WITHDRAWN:
        raise TitleNotPublished(
            f"{title.title_id} is {title.status.value}, not published: there is nothing to withdraw",
            members={"status": title.status.value},
        )
    if title.withdrawn_for != reason:
        raise AlreadyWithdrawn(
            f"{title.title_id} was withdrawn for another reason: {title.withdrawn_for}",
            members={"reason": title.withdrawn_for},
        )
    return []


def _discard(title: TitleState) -> list[AnyTitleEvent]:
    if title.was_published:
        raise TitleWasPublished(f"viewers have known {title.title_id}; withdraw it instead")
    if title.status is Status.SCHEDULED:
        raise TitleIsScheduled(f"{title.title_id} will be published at {title.publish_at}; unschedule it first")
    return [TitleDiscarded(title_id=title.title_id, kind=title.kind, place=title.place)]
