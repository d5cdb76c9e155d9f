"""The profiles of an account: pure.

What a maturity limit keeps from a child, the child cannot take away: whatever lets a profile see more, or touches what
a PIN protects, is proved by the account's password or by that PIN (docs/adr/0012-a-child-cannot-lift-its-limit.md).
"""

from commands.identity.commands import (
    ChangePreferences,
    ChangeProfile,
    CreateProfile,
    DeleteProfile,
    RemovePin,
    SetPin,
)
from commands.identity.refusals import (
    KidsProfileUnlimited,
    ProfileExists,
    ProfileLimitReached,
    ProfileUnknown,
    ProofRequired,
)
from commands.identity.state import AccountState, ProfileState
from events.envelope import Event
from events.identity import (
    PreferencesChanged,
    Profile,
    ProfileChanged,
    ProfileCreated,
    ProfileDeleted,
    ProfilePinRemoved,
    ProfilePinSet,
)
from events.types import ProfileId


def create(command: CreateProfile, state: AccountState) -> list[Event]:
    """Raises ProfileExists, ProfileLimitReached, KidsProfileUnlimited; ProofRequired for a profile that may see more
    than the one that asks."""
    profile, known = command.profile, state.profiles.get(command.profile.profile_id)
    if known is not None:
        if known.profile == profile:
            return []
        raise ProfileExists(f"the account has another profile {profile.profile_id!r}; change that one")
    if len(state.profiles) >= command.profiles_allowed:
        raise ProfileLimitReached(
            f"the plan allows {command.profiles_allowed} profiles; delete one, or take a larger plan",
            members={"profiles_allowed": command.profiles_allowed},
        )
    _check_kids(profile)
    if _sees_more(profile.maturity_limit, than=_ceiling(command, state)):
        _check_proved(command.proved, "a profile that may see more than this one")
    return [ProfileCreated(account_id=state.registered_id, profile=profile)]


def change(command: ChangeProfile, state: AccountState) -> list[Event]:
    """Raises ProfileUnknown, KidsProfileUnlimited; ProofRequired to let it see more."""
    known = known_profile(state, command.profile.profile_id)
    _check_kids(command.profile)
    if known.profile == command.profile:
        return []
    if _is_loosened(known.profile, command.profile):
        _check_proved(command.proved, "a profile that may see more than it did")
    return [ProfileChanged(account_id=state.registered_id, profile=command.profile)]


def change_preferences(command: ChangePreferences, state: AccountState) -> list[Event]:
    """Raises ProfileUnknown."""
    if known_profile(state, command.profile_id).preferences == command.preferences:
        return []
    return [
        PreferencesChanged(
            account_id=state.registered_id, profile_id=command.profile_id, preferences=command.preferences
        )
    ]


def set_pin(command: SetPin, state: AccountState) -> list[Event]:
    """Raises ProfileUnknown, ProofRequired. Never ignored: what the PIN was is in no event."""
    known_profile(state, command.profile_id)
    _check_proved(command.proved, "a PIN")
    return [ProfilePinSet(account_id=state.registered_id, profile_id=command.profile_id)]


def remove_pin(command: RemovePin, state: AccountState) -> list[Event]:
    """Raises ProfileUnknown, ProofRequired."""
    if not known_profile(state, command.profile_id).has_pin:
        return []
    _check_proved(command.proved, "a profile without its PIN")
    return [ProfilePinRemoved(account_id=state.registered_id, profile_id=command.profile_id)]


def delete(command: DeleteProfile, state: AccountState) -> list[Event]:
    """Raises ProfileUnknown; ProofRequired for a profile with a PIN, and from a profile with a maturity limit."""
    if known_profile(state, command.profile_id).has_pin or _ceiling(command, state) is not None:
        _check_proved(command.proved, "the end of this profile")
    return [ProfileDeleted(account_id=state.registered_id, profile_id=command.profile_id)]


def known_profile(state: AccountState, profile_id: ProfileId) -> ProfileState:
    """A profile of the account. Raises ProfileUnknown."""
    profile = state.profiles.get(profile_id)
    if profile is None:
        raise ProfileUnknown(f"the account has no profile {profile_id!r}; it may have been deleted")
    return profile


def _check_kids(profile: Profile) -> None:
    if profile.kids and profile.maturity_limit is None:
        raise KidsProfileUnlimited("give a profile for kids a maturity_limit, for example 12")


def _ceiling(command: CreateProfile | DeleteProfile, state: AccountState) -> int | None:
    """The maturity limit of who asks. A sign-in that has no profile yet may be a child's as well: it asks as the
    strictest of the account's profiles would."""
    if command.asked_by is not None:
        return command.asked_within
    limits = (one.profile.maturity_limit for one in state.profiles.values())
    return min((limit for limit in limits if limit is not None), default=None)


def _check_proved(proved: bool, what: str) -> None:
    if not proved:
        raise ProofRequired(f"send the account's password or the profile's PIN to ask for {what}")


def _is_loosened(before: Profile, after: Profile) -> bool:
    return (before.kids and not after.kids) or _sees_more(after.maturity_limit, than=before.maturity_limit)


def _sees_more(limit: int | None, *, than: int | None) -> bool:
    """Whether one maturity limit lets more be seen than another; None is no limit."""
    return than is not None and (limit is None or limit > than)
