"""How the operations context refuses, beside what every command does (docs/problems.md)."""

from typing import Final

from commands import errors
from commands.operations import refusals as r
from infra.http.openapi import Responses
from infra.http.problems import ProblemKind, Problems

PROBLEMS: Final[Problems] = {
    r.DeadLetterUnknown: ProblemKind(404, "dead-letter-unknown", "There is no such dead letter"),
    r.DeadLetterIsDiscarded: ProblemKind(409, "dead-letter-discarded", "The dead letter was discarded"),
    r.DeadLetterIsApplied: ProblemKind(409, "dead-letter-applied", "The dead letter was tried again and taken"),
    r.DeadLetterNotRetriable: ProblemKind(409, "dead-letter-not-retriable", "The dead letter cannot be tried again"),
    r.DeadLetterLate: ProblemKind(409, "dead-letter-late", "The dead letter's stream has later events"),
}


def refused_by(*exceptions: type[Exception]) -> Responses:
    """How a command of this context documents its refusals: its own, and those of every command."""
    return errors.refused_by(*exceptions, among=PROBLEMS)
