"""What an account's profiles allow, in every state that they can be in."""

from typing import Any, Final

import pytest
from msgspec import structs

from commands.identity import commands as c
from commands.identity.decider import ACCOUNT
from commands.identity.refusals import (
    AccountIsWithdrawn,
    AccountUnknown,
    KidsProfileUnlimited,
    ProfileExists,
    ProfileLimitReached,
    ProfileUnknown,
    ProofRequired,
)
from events.identity import (
    AccountRegistered,
    AccountWithdrawn,
    Preferences,
    PreferencesChanged,
    Profile,
    ProfileChanged,
    ProfileCreated,
    ProfileDeleted,
    ProfilePinRemoved,
    ProfilePinSet,
)
from events.types import AccountId, ProfileId, Sealed
from tests.spec import Given, Spec

ME: Final = AccountId("a1")
MOTHER: Final = Profile(profile_id=ProfileId("p1"), name=Sealed("p1.mother"))
CHILD: Final = Profile(profile_id=ProfileId("p2"), name=Sealed("p1.child"), kids=True, maturity_limit=7)
TEEN: Final = Profile(profile_id=ProfileId("p3"), name=Sealed("p1.teen"), maturity_limit=15)
account: Final = Spec(ACCOUNT)


def household(*more: Any) -> Given[c.AccountCommand, Any]:
    """A mother and a child."""
    return account.given(
        AccountRegistered(account_id=ME, email=Sealed("p1.mail")),
        ProfileCreated(account_id=ME, profile=MOTHER),
        ProfileCreated(account_id=ME, profile=CHILD),
        *more,
    )


def create(
    profile: Profile, allowed: int = 5, *, asked_by: ProfileId | None = MOTHER.profile_id, **values: Any
) -> c.CreateProfile:
    return c.CreateProfile(profile=profile, profiles_allowed=allowed, asked_by=asked_by, **values)


def changed(profile: Profile, **changes: Any) -> Profile:
    return structs.replace(profile, **changes)


EVERY: Final = (
    create(TEEN),
    c.ChangeProfile(profile=CHILD, proved=True),
    c.ChangePreferences(profile_id=CHILD.profile_id, preferences=Preferences(autoplay_next=False)),
    c.SetPin(profile_id=CHILD.profile_id, proved=True),
    c.RemovePin(profile_id=CHILD.profile_id, proved=True),
    c.DeleteProfile(profile_id=CHILD.profile_id, proved=True),
)


@pytest.mark.parametrize("command", EVERY, ids=lambda command: type(command).__name__)
def test_nobody_has_profiles_without_an_account(command: c.ProfileCommand) -> None:
    account.given().when(command).refused(AccountUnknown)


@pytest.mark.parametrize("command", EVERY, ids=lambda command: type(command).__name__)
def test_a_closed_account_has_no_profiles(command: c.ProfileCommand) -> None:
    household(AccountWithdrawn(account_id=ME)).when(command).refused(AccountIsWithdrawn)


@pytest.mark.parametrize("command", EVERY[1:], ids=lambda command: type(command).__name__)
def test_a_profile_that_was_deleted_cannot_be_touched(command: c.ProfileCommand) -> None:
    gone = ProfileDeleted(account_id=ME, profile_id=CHILD.profile_id)
    household(gone).when(command).refused(ProfileUnknown)


@pytest.mark.parametrize("command", EVERY[1:], ids=lambda command: type(command).__name__)
def test_a_profile_of_another_account_is_unknown_to_this_one(command: c.ProfileCommand) -> None:
    account.given(AccountRegistered(account_id=ME, email=Sealed("p1.mail"))).when(command).refused(ProfileUnknown)


def test_an_account_has_as_many_profiles_as_its_plan_allows() -> None:
    household().when(create(TEEN, 3)).then(ProfileCreated(account_id=ME, profile=TEEN))
    refusal = household().when(create(TEEN, 2)).refused(ProfileLimitReached)
    assert refusal.members == {"profiles_allowed": 2}


def test_a_smaller_plan_takes_no_profile_away_and_adds_none() -> None:
    household().when(create(TEEN, 1)).refused(ProfileLimitReached)
    household().when(c.ChangeProfile(profile=changed(MOTHER, language="ko"))).then(
        ProfileChanged(account_id=ME, profile=changed(MOTHER, language="ko"))
    )


def test_a_deleted_profile_leaves_its_place() -> None:
    gone = ProfileDeleted(account_id=ME, profile_id=MOTHER.profile_id)
    household(gone).when(create(TEEN, 2)).then(ProfileCreated(account_id=ME, profile=TEEN))


def test_creating_the_same_profile_again_is_ignored_and_another_under_its_id_refused() -> None:
    household().when(create(MOTHER)).ignored()
    household().when(create(changed(MOTHER, name=Sealed("p1.other")))).refused(ProfileExists)


def test_a_profile_for_kids_has_a_maturity_limit() -> None:
    unlimited = changed(TEEN, kids=True, maturity_limit=None)
    household().when(create(unlimited)).refused(KidsProfileUnlimited)
    household().when(c.ChangeProfile(profile=changed(CHILD, maturity_limit=None), proved=True)).refused(
        KidsProfileUnlimited
    )


@pytest.mark.parametrize(
    "looser",
    [
        changed(CHILD, maturity_limit=12),
        changed(CHILD, kids=False),
        changed(CHILD, kids=False, maturity_limit=None),
        changed(CHILD, kids=False, maturity_limit=0),
    ],
)
def test_a_profile_is_let_see_more_only_with_a_proof(looser: Profile) -> None:
    household().when(c.ChangeProfile(profile=looser)).refused(ProofRequired)
    household().when(c.ChangeProfile(profile=looser, proved=True)).then(ProfileChanged(account_id=ME, profile=looser))


@pytest.mark.parametrize(
    "stricter",
    [changed(CHILD, maturity_limit=0), changed(CHILD, language="ko"), changed(CHILD, avatar="bear")],
)
def test_a_profile_is_changed_otherwise_without_a_proof(stricter: Profile) -> None:
    household().when(c.ChangeProfile(profile=stricter)).then(ProfileChanged(account_id=ME, profile=stricter))


def test_changing_a_profile_to_what_it_is_is_ignored() -> None:
    household().when(c.ChangeProfile(profile=CHILD)).ignored()


@pytest.mark.parametrize(
    ("profile", "free"),
    [(TEEN, False), (changed(TEEN, maturity_limit=None), False), (changed(TEEN, maturity_limit=7), True)],
)
def test_a_child_cannot_make_itself_a_profile_that_sees_more(profile: Profile, *, free: bool) -> None:
    asked = household().when(create(profile, asked_by=CHILD.profile_id, asked_within=7))
    if free:
        asked.then(ProfileCreated(account_id=ME, profile=profile))
    else:
        asked.refused(ProofRequired)
    proved = create(profile, asked_by=CHILD.profile_id, asked_within=7, proved=True)
    household().when(proved).then(ProfileCreated(account_id=ME, profile=profile))


def test_a_sign_in_without_a_profile_may_be_a_childs() -> None:
    delete = c.DeleteProfile(profile_id=MOTHER.profile_id)
    household().when(create(TEEN, asked_by=None)).refused(ProofRequired)
    household().when(delete).refused(ProofRequired)
    same = changed(TEEN, maturity_limit=7)
    household().when(create(same, asked_by=None)).then(ProfileCreated(account_id=ME, profile=same))
    no_child = ProfileDeleted(account_id=ME, profile_id=CHILD.profile_id)
    household(no_child).when(create(TEEN, asked_by=None)).then(ProfileCreated(account_id=ME, profile=TEEN))
    household(no_child).when(delete).then(ProfileDeleted(account_id=ME, profile_id=MOTHER.profile_id))


def test_a_pin_is_set_and_removed_with_a_proof() -> None:
    with_pin = ProfilePinSet(account_id=ME, profile_id=CHILD.profile_id)
    set_pin = c.SetPin(profile_id=CHILD.profile_id)
    remove = c.RemovePin(profile_id=CHILD.profile_id)
    proved = c.SetPin(profile_id=CHILD.profile_id, proved=True)
    household().when(set_pin).refused(ProofRequired)
    household(with_pin).when(set_pin).refused(ProofRequired)
    household(with_pin).when(remove).refused(ProofRequired)
    household().when(proved).then(with_pin)
    household(with_pin).when(proved).then(with_pin)  # it may be another PIN
    household(with_pin).when(c.RemovePin(profile_id=CHILD.profile_id, proved=True)).then(
        ProfilePinRemoved(account_id=ME, profile_id=CHILD.profile_id)
    )


def test_removing_a_pin_that_is_not_there_is_ignored() -> None:
    household().when(c.RemovePin(profile_id=CHILD.profile_id)).ignored()
    history = (
        ProfilePinSet(account_id=ME, profile_id=CHILD.profile_id),
        ProfilePinRemoved(account_id=ME, profile_id=CHILD.profile_id),
    )
    household(*history).when(c.RemovePin(profile_id=CHILD.profile_id)).ignored()


def test_a_profile_is_deleted_freely_unless_it_has_a_pin_or_a_child_asks() -> None:
    gone = ProfileDeleted(account_id=ME, profile_id=MOTHER.profile_id)
    delete = c.DeleteProfile(profile_id=MOTHER.profile_id, asked_by=MOTHER.profile_id)
    with_pin = ProfilePinSet(account_id=ME, profile_id=MOTHER.profile_id)
    household().when(delete).then(gone)
    household(with_pin).when(delete).refused(ProofRequired)
    household().when(c.DeleteProfile(profile_id=MOTHER.profile_id, asked_by=CHILD.profile_id, asked_within=0)).refused(
        ProofRequired
    )
    proved = c.DeleteProfile(profile_id=MOTHER.profile_id, asked_by=CHILD.profile_id, asked_within=7, proved=True)
    household(with_pin).when(proved).then(gone)


def test_preferences_change_and_the_same_ones_are_ignored() -> None:
    likes = Preferences(audio_language="ko", subtitles_language="en", autoplay_next=False, quality="data_saver")
    change = c.ChangePreferences(profile_id=CHILD.profile_id, preferences=likes)
    happened = PreferencesChanged(account_id=ME, profile_id=CHILD.profile_id, preferences=likes)
    household().when(change).then(happened)
    household(happened).when(change).ignored()
    household().when(c.ChangePreferences(profile_id=CHILD.profile_id, preferences=Preferences())).ignored()
    changed_since = ProfileChanged(account_id=ME, profile=changed(CHILD, avatar="bear"))
    household(happened, changed_since).when(change).ignored()  # another look forgets no preference
