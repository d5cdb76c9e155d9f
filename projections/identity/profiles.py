"""Profiles in Postgres: the people of an account, and how each likes to watch."""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from events.envelope import Event, Recorded
from events.identity import (
    AccountEvent,
    AccountWithdrawn,
    Preferences,
    PreferencesChanged,
    Profile,
    ProfileChanged,
    ProfileCreated,
    ProfileDeleted,
    ProfileEvent,
    ProfilePinRemoved,
    ProfilePinSet,
)
from events.registry import members
from events.topics import IDENTITY
from projections.views import ListView


class ProfileItem(msgspec.Struct, frozen=True, kw_only=True):
    """A profile. `name`: sealed."""

    profile_id: str
    name: str
    avatar: str | None
    language: str
    kids: bool
    maturity_limit: int | None
    has_pin: bool = False
    preferences: Preferences = Preferences()
    created_at: datetime


class AccountProfiles(msgspec.Struct, frozen=True):
    """The profiles of an account, in the order in which they came."""

    account_id: str
    profiles: tuple[ProfileItem, ...]


class Profiles(ListView[AccountProfiles]):
    """The profiles that there are; all go with the account."""

    name = "identity_profiles"
    row = AccountProfiles
    item = ProfileItem
    topics = (IDENTITY,)
    events = (*members(ProfileEvent), AccountWithdrawn)

    def key(self, recorded: Recorded[Event]) -> str:
        """The account."""
        assert isinstance(recorded.data, AccountEvent)
        return recorded.data.account_id

    def project(self, row: AccountProfiles | None, recorded: Recorded[Event]) -> AccountProfiles | None:
        """The account's profiles after an event."""
        event = recorded.data
        assert isinstance(event, AccountEvent)
        held = row.profiles if row else ()
        profiles = _after(held, event, recorded.envelope.time)
        if profiles is held:
            return row
        return AccountProfiles(event.account_id, profiles) if profiles else None


def _after(held: tuple[ProfileItem, ...], event: AccountEvent, at: datetime) -> tuple[ProfileItem, ...]:
    match event:
        case ProfileCreated(profile=profile):
            return (*_without(held, profile.profile_id), _described(profile, at))
        case ProfileDeleted(profile_id=profile_id):
            return _without(held, profile_id)
        case AccountWithdrawn():
            return ()
        case _:
            return tuple(_changed(one, event) for one in held)


def _described(profile: Profile, created_at: datetime) -> ProfileItem:
    return ProfileItem(
        profile_id=profile.profile_id,
        name=profile.name,
        avatar=profile.avatar,
        language=profile.language,
        kids=profile.kids,
        maturity_limit=profile.maturity_limit,
        created_at=created_at,
    )


def _changed(one: ProfileItem, event: AccountEvent) -> ProfileItem:
    match event:
        case ProfileChanged(profile=profile) if profile.profile_id == one.profile_id:
            described = _described(profile, one.created_at)
            return replace(described, has_pin=one.has_pin, preferences=one.preferences)
        case PreferencesChanged(profile_id=one.profile_id, preferences=preferences):
            return replace(one, preferences=preferences)
        case ProfilePinSet(profile_id=one.profile_id):
            return replace(one, has_pin=True)
        case ProfilePinRemoved(profile_id=one.profile_id):
            return replace(one, has_pin=False)
        case _:
            return one


def _without(held: tuple[ProfileItem, ...], profile_id: str) -> tuple[ProfileItem, ...]:
    return tuple(one for one in held if one.profile_id != profile_id)
