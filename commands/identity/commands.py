"""What can be asked of an account. Personal values come Sealed; secrets never come here."""

from dataclasses import dataclass
from typing import TypeAlias

from events.identity import (
    Device,
    ErasureGround,
    PasswordChangeMethod,
    Preferences,
    Profile,
    Role,
    SignInMethod,
    SignOutReason,
)
from events.types import AccountId, DeviceId, ProfileId, Sealed, SignInId


@dataclass(frozen=True, kw_only=True)
class RegisterAccount:
    """Begin an account whose email address is proved."""

    account_id: AccountId
    email: Sealed


@dataclass(frozen=True, kw_only=True)
class ChangeEmail:
    """Take another address, which is proved."""

    email: Sealed


@dataclass(frozen=True, kw_only=True)
class ChangePassword:
    """Take another password, and end every sign-in but `kept`."""

    method: PasswordChangeMethod
    kept: SignInId | None = None


@dataclass(frozen=True, kw_only=True)
class WithdrawAccount:
    """Close the account for good, and erase its person. `key_fingerprint`: of the key that is destroyed with it."""

    key_fingerprint: str | None = None


@dataclass(frozen=True, kw_only=True)
class ErasePerson:
    """Erase a person, and close their account unless it is closed. `reference`: of the case, in the asker's books."""

    ground: ErasureGround
    key_fingerprint: str | None = None
    reference: str | None = None


@dataclass(frozen=True, kw_only=True)
class GrantRole:
    """Let the account's owner work in a role. `by`: whose account asks for it; None is nobody's (the command line)."""

    role: Role
    by: AccountId | None = None


@dataclass(frozen=True, kw_only=True)
class RevokeRole:
    """Let the account's owner not work in a role any more."""

    role: Role


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """Sign in on the device that is `known_as` this; else on `device`, which is registered. `devices_allowed`: how many
    the account may have. `instead_of`: one to remove, so that there is room."""

    sign_in_id: SignInId
    device: Device
    known_as: DeviceId | None = None
    method: SignInMethod
    devices_allowed: int
    instead_of: DeviceId | None = None


@dataclass(frozen=True, kw_only=True)
class SignOut:
    """End one sign-in."""

    sign_in_id: SignInId
    reason: SignOutReason = "signed_out"


@dataclass(frozen=True, kw_only=True)
class SignOutEverywhere:
    """End all sign-ins but `kept`."""

    kept: SignInId | None = None


@dataclass(frozen=True, kw_only=True)
class RenameDevice:
    """Call a device something else."""

    device_id: DeviceId
    name: Sealed


@dataclass(frozen=True, kw_only=True)
class RemoveDevice:
    """Take a device from the account; its sign-in and its running streams end."""

    device_id: DeviceId


@dataclass(frozen=True, kw_only=True)
class CreateProfile:
    """Add a profile. `profiles_allowed`: how many the account may have. `asked_by`: the profile that asks, and
    `asked_within`: its maturity limit; `proved`: by the account's password."""

    profile: Profile
    profiles_allowed: int
    asked_by: ProfileId | None = None
    asked_within: int | None = None
    proved: bool = False


@dataclass(frozen=True, kw_only=True)
class ChangeProfile:
    """Have a profile be like this. `proved`: by the account's password, or by the profile's PIN."""

    profile: Profile
    proved: bool = False


@dataclass(frozen=True, kw_only=True)
class ChangePreferences:
    """Have a profile watch like this."""

    profile_id: ProfileId
    preferences: Preferences


@dataclass(frozen=True, kw_only=True)
class SetPin:
    """Protect a profile by a PIN, or by another one. `proved`: by the account's password, or by the PIN so far."""

    profile_id: ProfileId
    proved: bool = False


@dataclass(frozen=True, kw_only=True)
class RemovePin:
    """Protect a profile by no PIN. `proved`: by the account's password, or by the PIN."""

    profile_id: ProfileId
    proved: bool = False


@dataclass(frozen=True, kw_only=True)
class DeleteProfile:
    """Take a profile away. `asked_by`: the profile that asks, and `asked_within`: its maturity limit; `proved`: by the
    account's password, or by the profile's PIN."""

    profile_id: ProfileId
    asked_by: ProfileId | None = None
    asked_within: int | None = None
    proved: bool = False


AccountLifeCommand: TypeAlias = (
    RegisterAccount | ChangeEmail | ChangePassword | WithdrawAccount | ErasePerson | GrantRole | RevokeRole
)
SignInCommand: TypeAlias = SignIn | SignOut | SignOutEverywhere | RenameDevice | RemoveDevice
ProfileCommand: TypeAlias = CreateProfile | ChangeProfile | ChangePreferences | SetPin | RemovePin | DeleteProfile
AccountCommand: TypeAlias = AccountLifeCommand | SignInCommand | ProfileCommand
