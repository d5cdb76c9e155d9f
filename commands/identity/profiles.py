"""The profiles of an account: pure."""

from commands.identity.commands import (
    ChangePreferences,
    ChangeProfile,
    CreateProfile,
    DeleteProfile,
    RemovePin,
    SetPin,
)
from commands.identity.refusals import KidsProfileUnlimited, ProfileExists, ProfileLimitReached, ProfileUnknown
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
    """Raises ProfileExists, ProfileLimitReached, KidsProfileUnlimited."""
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
    return [ProfileCreated(account_id=state.registered_id, profile=profile)]


def change(command: ChangeProfile, state: AccountState) -> list[Event]:
    """Raises ProfileUnknown, KidsProfileUnlimited."""
    known = known_profile(state, command.profile.profile_id)
    _check_kids(command.profile)
    if known.profile == command.profile:
        return []
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
    """Raises ProfileUnknown. Never ignored: what the PIN was is in no event."""
    known_profile(state, command.profile_id)
    return [ProfilePinSet(account_id=state.registered_id, profile_id=command.profile_id)]


def remove_pin(command: RemovePin, state: AccountState) -> list[Event]:
    """Raises ProfileUnknown."""
    if not known_profile(state, command.profile_id).has_pin:
        return []
    return [ProfilePinRemoved(account_id=state.registered_id, profile_id=command.profile_id)]


def delete(command: DeleteProfile, state: AccountState) -> list[Event]:
    """Raises ProfileUnknown."""
    known_profile(state, command.profile_id)
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
