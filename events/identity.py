"""Events of the identity context: accounts with their sign-ins, devices and profiles, staff roles, and API keys.

Authority: the event log; streams `identity.account-<id>` and `identity.api_key-<id>`. Personal values are Sealed, and
secrets (password hashes, PINs, tokens) are in no event at all: docs/adr/0009-secrets-are-not-events.md.
"""

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from events.envelope import Event
from events.types import AccountId, ApiKeyId, Count, DeviceId, Instant, ProfileId, Sealed, SignInId, Text

SignInMethod: TypeAlias = Literal["password", "registration", "device_code"]
SignOutReason: TypeAlias = Literal[
    "signed_out", "everywhere", "replaced", "device_removed", "password_changed", "refresh_token_reused", "withdrawn"
]
PasswordChangeMethod: TypeAlias = Literal["changed", "reset"]
ErasureGround: TypeAlias = Literal["request", "retention", "order"]
"""Why a person is erased: they asked for it, they were kept for as long as they may be, or an authority ordered it."""
VideoQuality: TypeAlias = Literal["auto", "data_saver", "best"]
MinimumAge = Annotated[int, Meta(ge=0, le=21)]
Language = Annotated[str, Meta(min_length=2, max_length=35)]


class Role(StrEnum):
    """What a member of staff works as, which says what they may do."""

    EDITOR = "editor"
    BILLING = "billing"
    ANALYST = "analyst"
    AUDITOR = "auditor"
    OPERATOR = "operator"


class Device(Struct, frozen=True, kw_only=True):
    """A device that an account signed in on. `name`: as its owner calls it."""

    device_id: DeviceId
    name: Sealed
    type: Text
    platform: Text | None = None
    model: Text | None = None


class Profile(Struct, frozen=True, kw_only=True):
    """One of the people of an account. `avatar`: the id of a picture. `language`: BCP 47. `maturity_limit`: titles for
    a higher minimum age need the PIN; None is no limit."""

    profile_id: ProfileId
    name: Sealed
    avatar: Text | None = None
    language: Language = "en"
    kids: bool = False
    maturity_limit: MinimumAge | None = None


class Preferences(Struct, frozen=True, kw_only=True):
    """How a profile likes to watch. Languages: BCP 47; None is the title's own audio, and no subtitles."""

    audio_language: Language | None = None
    subtitles_language: Language | None = None
    autoplay_next: bool = True
    autoplay_previews: bool = True
    quality: VideoQuality = "auto"


class AccountEvent(Event, frozen=True):
    """Something that happened to an account."""

    account_id: AccountId


# The account


class AccountRegistered(AccountEvent, frozen=True):
    """An account began, its email address proved."""

    email: Sealed


class EmailChanged(AccountEvent, frozen=True):
    """The account has another email address, which is proved."""

    email: Sealed


class PasswordChanged(AccountEvent, frozen=True):
    """The account has another password. `method`: by its owner signed in, or by a link sent to its address."""

    method: PasswordChangeMethod


class AccountWithdrawn(AccountEvent, frozen=True):
    """The account is closed for good, and its key destroyed: nothing Sealed for it can be read any more."""


class PersonErased(AccountEvent, frozen=True):
    """The certificate that the person's key was destroyed, in one transaction with this: whatever was Sealed for them
    can be read nowhere any more. The envelope says when, and whose request it was.

    `sealed_events`: how many events of the account hold Sealed values. `key_fingerprint`: tells the key from others and
    nothing of it; None for one that was destroyed before there were certificates, or could not be opened. `reference`:
    of the case, in the books of who asked.
    """

    ground: ErasureGround
    sealed_events: Count
    key_fingerprint: Text | None = None
    reference: Text | None = None


class RoleGranted(AccountEvent, frozen=True):
    """The account's owner works in this role now."""

    role: Role


class RoleRevoked(AccountEvent, frozen=True):
    """The account's owner does not work in this role any more."""

    role: Role


# Sign-ins and devices


class DeviceRegistered(AccountEvent, frozen=True):
    """A device is the account's."""

    device: Device


class DeviceRenamed(AccountEvent, frozen=True):
    """A device has another name."""

    device_id: DeviceId
    name: Sealed


class DeviceRemoved(AccountEvent, frozen=True):
    """A device is not the account's any more: its sign-in and its running streams end."""

    device_id: DeviceId


class SignedIn(AccountEvent, frozen=True):
    """Somebody signed in on a device. A sign-in lasts, by refresh tokens, until it is ended or not used for long."""

    sign_in_id: SignInId
    device_id: DeviceId
    method: SignInMethod


class SignedOut(AccountEvent, frozen=True):
    """A sign-in ended: none of its tokens is taken any more."""

    sign_in_id: SignInId
    device_id: DeviceId
    reason: SignOutReason


# Profiles


class ProfileCreated(AccountEvent, frozen=True):
    """The account has one more profile."""

    profile: Profile


class ProfileChanged(AccountEvent, frozen=True):
    """A profile is like this now."""

    profile: Profile


class PreferencesChanged(AccountEvent, frozen=True):
    """A profile likes to watch like this now."""

    profile_id: ProfileId
    preferences: Preferences


class ProfilePinSet(AccountEvent, frozen=True):
    """A profile has a PIN, or another one."""

    profile_id: ProfileId


class ProfilePinRemoved(AccountEvent, frozen=True):
    """A profile needs no PIN any more."""

    profile_id: ProfileId


class ProfileDeleted(AccountEvent, frozen=True):
    """A profile is gone, and nobody can watch as it any more."""

    profile_id: ProfileId


# API keys


class ApiKeyIssued(Event, frozen=True):
    """A server or a dashboard has a key of its own. `scopes`: what it may do. `expires_at`: None is never."""

    api_key_id: ApiKeyId
    name: Text
    scopes: tuple[Text, ...]
    expires_at: Instant | None = None


class ApiKeyRevoked(Event, frozen=True):
    """A key is not taken any more."""

    api_key_id: ApiKeyId


AccountLifeEvent = (
    AccountRegistered | EmailChanged | PasswordChanged | AccountWithdrawn | PersonErased | RoleGranted | RoleRevoked
)
SignInEvent = DeviceRegistered | DeviceRenamed | DeviceRemoved | SignedIn | SignedOut
ProfileEvent = ProfileCreated | ProfileChanged | PreferencesChanged | ProfilePinSet | ProfilePinRemoved | ProfileDeleted
ApiKeyEvent = ApiKeyIssued | ApiKeyRevoked
IdentityEvent = AccountLifeEvent | SignInEvent | ProfileEvent | ApiKeyEvent
