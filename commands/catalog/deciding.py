"""Runs the catalog's commands: each against the stream that decides it and, when it names a next title, together with
the stream of all next titles and the one of the title that is to follow.
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import UNSET

from commands.catalog.commands import CatalogCommand, DiscardTitle, NewTitle, RequireFollower, ReviseTitle, TitleCommand
from commands.catalog.decider import CATALOG
from commands.catalog.next_titles import NEXT_TITLES, STREAM_ID, LinkNextTitle
from commands.decider import in_turn
from commands.handling import Handling, Outcome, Step, Target, Terms
from events.types import TitleId

IN_TURN: Final = in_turn(CATALOG)


async def decide(handling: Handling, command: CatalogCommand, terms: Terms) -> Outcome:
    """Handle one command. Raises the catalog's refusals, VersionConflict, IdempotencyKeyReused."""
    return await handling.handle_together(steps_of(command), terms)


async def decide_in_turn(handling: Handling, commands: Sequence[CatalogCommand], terms: Terms) -> Outcome:
    """Handle several commands to one stream, all or none; what the first says of a next title is linked along."""
    [own, *links] = steps_of(commands[0])
    return await handling.handle_together([Step(commands, IN_TURN, own.target), *links], terms)


def steps_of(command: CatalogCommand) -> list[Step[Any, Any]]:
    """What is decided together for a command; its own step comes first."""
    own = Step(command, CATALOG, _target(command))
    if not isinstance(command, TitleCommand):
        return [own]
    return [own, *_link_steps(command)]


def _target(command: CatalogCommand) -> Target:
    series_id = None if isinstance(command, RequireFollower) else command.series_id
    subject = command.title_id if isinstance(command, TitleCommand | RequireFollower) else command.series_id
    return Target(subject, f"catalog.title-{series_id or subject}")


def _link_steps(command: TitleCommand) -> list[Step[Any, Any]]:
    says, next_title_id = _next_title(command)
    if not says or command.series_id is not None or next_title_id == command.title_id:
        return []  # nothing to link, or the title's own step refuses it
    link = LinkNextTitle(title_id=command.title_id, next_title_id=next_title_id)
    steps: list[Step[Any, Any]] = [Step(link, NEXT_TITLES, Target(command.title_id, STREAM_ID))]
    if next_title_id is not None:
        required = RequireFollower(title_id=next_title_id)
        steps.append(Step(required, CATALOG, _target(required)))
    return steps


def _next_title(command: TitleCommand) -> tuple[bool, TitleId | None]:
    """Whether a command says what follows its title, and what."""
    match command:
        case NewTitle(details=details):
            return details.next_title_id is not None, details.next_title_id
        case ReviseTitle(changes=changes):
            if changes.next_title_id is UNSET:
                return False, None
            return True, changes.next_title_id or None
        case DiscardTitle():
            return True, None
        case _:
            return False, None
