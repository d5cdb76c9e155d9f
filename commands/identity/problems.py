"""How the identity context refuses, beside what every command does (docs/problems.md)."""

from typing import Final

from commands import errors
from commands.identity import refusals as r
from commands.identity.oauth import refusals as oauth_refusals
from infra.http.openapi import Responses
from infra.http.problems import ProblemKind, Problems

PROBLEMS: Final[Problems] = {
    **oauth_refusals.PROBLEMS,
    r.AccountUnknown: ProblemKind(404, "account-unknown", "There is no such account"),
    r.AccountIsWithdrawn: ProblemKind(410, "account-withdrawn", "The account was closed for good"),
    r.AccountExists: ProblemKind(409, "account-exists", "The account was registered before"),
    r.PasswordWeak: ProblemKind(422, "password-weak", "The password is too easily guessed"),
    r.PasswordsBusy: ProblemKind(503, "passwords-busy", "Too many passwords are being verified"),
    r.CredentialsWrong: ProblemKind(401, "credentials-wrong", "The address and the password are not an account's"),
    r.TooManyAttempts: ProblemKind(429, "too-many-attempts", "Passwords were tried too often"),
    r.OneTimeTokenInvalid: ProblemKind(400, "one-time-token-invalid", "The link does not hold, or not any more"),
    r.RoleForOneself: ProblemKind(409, "role-for-oneself", "Nobody grants a role to themselves"),
    r.DeviceUnknown: ProblemKind(404, "device-unknown", "The account has no such device"),
    r.DeviceLimitReached: ProblemKind(409, "device-limit-reached", "The account has as many devices as it may"),
    r.SignInUnknown: ProblemKind(404, "sign-in-unknown", "The sign-in has ended"),
    r.ProfileUnknown: ProblemKind(404, "profile-unknown", "The account has no such profile"),
    r.ProfileExists: ProblemKind(409, "profile-exists", "The account has a profile under this id"),
    r.ProfileLimitReached: ProblemKind(409, "profile-limit-reached", "The account has as many profiles as it may"),
    r.KidsProfileUnlimited: ProblemKind(422, "kids-profile-unlimited", "A profile for kids needs a maturity limit"),
    r.ProofRequired: ProblemKind(403, "proof-required", "This needs the account's password or the profile's PIN"),
    r.PinWrong: ProblemKind(403, "pin-wrong", "The PIN is another"),
    r.PasswordWrong: ProblemKind(403, "password-wrong", "The password is another"),
    r.PinMissing: errors.PIN_REQUIRED,
    r.PinNotSet: ProblemKind(409, "pin-not-set", "The profile has no PIN"),
    r.ProfileNotChosen: ProblemKind(403, "profile-not-chosen", "The access token is for another profile"),
    r.ScopesNotYours: ProblemKind(403, "scopes-not-yours", "A key holds no more than its issuer's own scopes"),
    r.ApiKeyExpiryPast: ProblemKind(422, "api-key-expiry-past", "The key would have expired before it was issued"),
    r.ApiKeyShown: ProblemKind(409, "api-key-shown", "The key was shown, and cannot be shown again"),
    r.ApiKeyUnknown: ProblemKind(404, "api-key-unknown", "There is no such API key"),
    r.ApiKeyExists: ProblemKind(409, "api-key-exists", "Another API key has this id"),
}


def refused_by(*exceptions: type[Exception]) -> Responses:
    """How a command of this context documents its refusals: its own, and those of every command."""
    return errors.refused_by(*exceptions, among=PROBLEMS)
