"""Why the identity context refuses a command."""

from events.refusals import Refusal


class AccountUnknown(Refusal):
    """No account was registered under this id."""


class AccountIsWithdrawn(Refusal):
    """The account was closed for good."""


class AccountExists(Refusal):
    """The account was registered before."""


class RoleForOneself(Refusal):
    """Nobody grants a role to themselves."""


class DeviceUnknown(Refusal):
    """The account has no such device."""


class DeviceLimitReached(Refusal):
    """The account has as many devices as its plan allows."""


class SignInUnknown(Refusal):
    """The account has no such sign-in, or not any more."""


class ProfileUnknown(Refusal):
    """The account has no such profile."""


class ProfileExists(Refusal):
    """The account has a profile under this id."""


class ProfileLimitReached(Refusal):
    """The account has as many profiles as its plan allows."""


class KidsProfileUnlimited(Refusal):
    """A profile for kids has a maturity limit."""


class ApiKeyUnknown(Refusal):
    """No API key was issued under this id."""


class ApiKeyExists(Refusal):
    """Another API key was issued under this id."""
