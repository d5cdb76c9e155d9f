"""How the identity context refuses, beside what every command does (docs/problems.md)."""

from typing import Final

from commands import errors
from commands.identity import refusals as r
from infra.openapi import Responses
from infra.problems import ProblemKind, Problems

PROBLEMS: Final[Problems] = {
    r.AccountUnknown: ProblemKind(404, "account-unknown", "There is no such account"),
    r.AccountIsWithdrawn: ProblemKind(410, "account-withdrawn", "The account was closed for good"),
    r.AccountExists: ProblemKind(409, "account-exists", "The account was registered before"),
    r.RoleForOneself: ProblemKind(409, "role-for-oneself", "Nobody grants a role to themselves"),
    r.DeviceUnknown: ProblemKind(404, "device-unknown", "The account has no such device"),
    r.DeviceLimitReached: ProblemKind(409, "device-limit-reached", "The account has as many devices as it may"),
    r.SignInUnknown: ProblemKind(404, "sign-in-unknown", "The sign-in has ended"),
    r.ProfileUnknown: ProblemKind(404, "profile-unknown", "The account has no such profile"),
    r.ProfileExists: ProblemKind(409, "profile-exists", "The account has a profile under this id"),
    r.ProfileLimitReached: ProblemKind(409, "profile-limit-reached", "The account has as many profiles as it may"),
    r.KidsProfileUnlimited: ProblemKind(422, "kids-profile-unlimited", "A profile for kids needs a maturity limit"),
    r.ApiKeyUnknown: ProblemKind(404, "api-key-unknown", "There is no such API key"),
    r.ApiKeyExists: ProblemKind(409, "api-key-exists", "Another API key has this id"),
}


def refused_by(*exceptions: type[Exception]) -> Responses:
    """How a command of this context documents its refusals: its own, and those of every command."""
    return errors.refused_by(*exceptions, among=PROBLEMS)
