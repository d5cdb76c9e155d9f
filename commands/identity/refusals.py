"""Why the identity context refuses a command."""

from events.refusals import Refusal


class AccountUnknown(Refusal):
    """No account was registered under this id."""


class AccountIsWithdrawn(Refusal):
    """The account was closed for good."""


class AccountExists(Refusal):
    """The account was registered before."""


class PasswordWeak(Refusal):
    """The password is too short, too long, or too easily guessed."""


class PasswordsBusy(Refusal):
    """As many passwords are being verified as may be at a time."""


class CredentialsWrong(Refusal):
    """The address and the password are not an account's. Which of them is wrong is not told."""


class TooManyAttempts(Refusal):
    """Passwords or PINs were tried too often."""


class OneTimeTokenInvalid(Refusal):
    """The token of a link was used, replaced, has expired, or was never sent."""


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


class ProofRequired(Refusal):
    """What is asked for needs the account's password, or the profile's PIN."""


class PinWrong(Refusal):
    """The PIN is another."""


class PasswordWrong(Refusal):
    """The password is not that of the account that is signed in."""


class PinNotSet(Refusal):
    """The profile has no PIN that could be given."""


class PinMissing(Refusal):
    """The profile is chosen with its PIN."""


class ProfileNotChosen(Refusal):
    """The access token is for another profile, or for none."""


class ScopesNotYours(Refusal):
    """Nobody gives a key what they may not do themselves, or what only a viewer does."""


class ApiKeyExpiryPast(Refusal):
    """The key would never have been taken."""


class ApiKeyShown(Refusal):
    """The key was shown, and cannot be made again."""


class ApiKeyUnknown(Refusal):
    """No API key was issued under this id."""


class ApiKeyExists(Refusal):
    """Another API key was issued under this id."""
