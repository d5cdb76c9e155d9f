"""How a title begins: as a draft, published at once, or as an imported file has it. Pure."""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from msgspec import structs

from commands.catalog.commands import Beginning, DraftTitle, ImportTitle, NewTitle, PublishNewTitle
from commands.catalog.details import check_complete, check_details
from commands.catalog.life import Subject, publish, revise, schedule
from commands.catalog.refusals import TitleExists
from commands.catalog.state import TitleState
from events.catalog import AnyTitleEvent, TitleDrafted, TitlePublished
from events.titles import Status


def begin(command: Beginning, subject: Subject, now: datetime) -> list[AnyTitleEvent]:
    """The events that a command to begin a title leads to; none when it was begun so before."""
    match command:
        case DraftTitle():
            return _draft(command, subject)
        case PublishNewTitle():
            return _publish_new(command, subject)
        case ImportTitle():
            return _import(command, subject, now)
        case _:
            assert_never(command)


def _draft(command: NewTitle, subject: Subject) -> list[AnyTitleEvent]:
    check_details(subject.title_id, command.kind, command.details)
    if subject.title is not None:
        _check_same(command, subject.title, Status.DRAFT)
        return []
    return [TitleDrafted(title_id=subject.title_id, kind=command.kind, place=subject.place, details=command.details)]


def _publish_new(command: NewTitle, subject: Subject) -> list[AnyTitleEvent]:
    check_details(subject.title_id, command.kind, command.details)
    check_complete(command.kind, command.details)
    if subject.title is not None:
        _check_same(command, subject.title, Status.PUBLISHED)
        return []
    return [TitlePublished(title_id=subject.title_id, kind=command.kind, place=subject.place, details=command.details)]


def _check_same(command: NewTitle, title: TitleState, status: Status) -> None:
    if (title.kind, title.details, title.status) != (command.kind, command.details, status):
        raise TitleExists(
            f"a {title.kind.value} {title.title_id} is there, {title.status.value}; revise it, or begin under a new id",
            members={"status": title.status.value},
        )


def _import(command: ImportTitle, subject: Subject, now: datetime) -> list[AnyTitleEvent]:
    if subject.title is not None:
        return _import_again(command, subject, subject.title, now)
    if _to_publish(command, now):
        return _publish_new(command, subject)
    drafted = _draft(command, subject)
    if command.publish_at is None:
        return drafted
    return [*drafted, *schedule(command.publish_at, subject, _drafted(command, subject), now)]


def _import_again(command: ImportTitle, subject: Subject, title: TitleState, now: datetime) -> list[AnyTitleEvent]:
    if title.status is Status.DISCARDED or title.kind is not command.kind:
        _check_same(command, title, Status.DRAFT)
    details = command.details
    if details.next_title_id is None:
        details = structs.replace(details, next_title_id=title.details.next_title_id)
    revised = revise(details, subject, title)
    now_so = replace(title, details=details, revision=title.revision + len(revised))
    if title.status not in (Status.DRAFT, Status.SCHEDULED):
        return revised
    if _to_publish(command, now):
        return [*revised, *publish(subject, now_so)]
    if command.publish_at is not None:
        return [*revised, *schedule(command.publish_at, subject, now_so, now)]
    return revised


def _to_publish(command: ImportTitle, now: datetime) -> bool:
    return command.publish or (command.publish_at is not None and command.publish_at <= now)


def _drafted(command: NewTitle, subject: Subject) -> TitleState:
    return TitleState(
        title_id=subject.title_id,
        kind=command.kind,
        place=subject.place,
        status=Status.DRAFT,
        details=command.details,
        revision=1,
    )
