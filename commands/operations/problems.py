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
    r.ViewUnknown: ProblemKind(404, "view-unknown", "There is no such view"),
    r.ViewVersionUnknown: ProblemKind(404, "view-version-unknown", "The view has no such version"),
    r.ViewVersionUnfit: ProblemKind(409, "view-version-unfit", "No version of the view is in a state that allows it"),
    r.ViewVersionUnverified: ProblemKind(
        409, "view-version-unverified", "The version was not found to be as the live one"
    ),
    r.ViewRequestUnknown: ProblemKind(404, "view-request-unknown", "There is no such request"),
    r.ViewRequestBegun: ProblemKind(409, "view-request-begun", "The request is under way, or done"),
    r.ViewBusy: ProblemKind(409, "view-busy", "Too much is asked of the view and not done yet"),
}


def refused_by(*exceptions: type[Exception]) -> Responses:
    """How a command of this context documents its refusals: its own, and those of every command."""
    return errors.refused_by(*exceptions, among=PROBLEMS)
