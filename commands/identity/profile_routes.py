"""The profiles of an account over HTTP: created, changed, protected, chosen, unlocked and deleted by their account."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path

from commands.access import NotYourAccount, OwnAccount
from commands.handling import Target
from commands.identity import refusals as r
from commands.identity.allowances import allowances_of
from commands.identity.choosing import choose
from commands.identity.commands import (
    ChangePreferences,
    ChangeProfile,
    CreateProfile,
    DeleteProfile,
    RemovePin,
    SetPin,
)
from commands.identity.decider import ACCOUNT
from commands.identity.pins import Proof, is_proved, setting_pin, unlocked
from commands.identity.problems import refused_by
from commands.identity.profile_bodies import (
    ChoiceBody,
    NewPinBody,
    NewProfileBody,
    PreferencesBody,
    ProfileBody,
    ProofBody,
    UnlockBody,
    UnlockedReply,
)
from commands.identity.requests import At
from commands.identity.signing_in import TokensReply
from commands.identity.streams import of_account
from commands.replies import Recorded
from events.types import ProfileId
from infra.access.authentication import Needs
from infra.access.permissions import Principal, Scope
from infra.http.openapi import Responses
from infra.ids import new_id

ATTEMPTS: Final = (r.PasswordsBusy, r.TooManyAttempts)
PROOFS: Final = (r.ProofRequired, r.PasswordWrong, r.PinWrong, r.PinNotSet, *ATTEMPTS)

ProfileIdPath = Annotated[ProfileId, Path(min_length=1, max_length=64, pattern="^[0-9a-zA-Z_-]+$")]
Caller = Annotated[Principal, Depends(Needs(Scope.ACCOUNT))]

router = APIRouter(prefix="/v1/accounts/{account_id}/profiles", tags=["profiles"])


def _refused_by(*exceptions: type[Exception]) -> Responses:
    return refused_by(NotYourAccount, r.AccountUnknown, r.AccountIsWithdrawn, *exceptions)


@router.post(
    "",
    status_code=201,
    responses=_refused_by(r.ProfileLimitReached, r.KidsProfileUnlimited, r.ProofRequired, r.PasswordWrong, *ATTEMPTS),
)
async def create_profile(account_id: OwnAccount, body: NewProfileBody, caller: Caller, at: At) -> Recorded:
    """Add a profile: its id is in the reply."""
    person = await at.person(account_id)
    allowed = await allowances_of(at.opened.pool, account_id, at.now, at.opened.settings)
    profile_id = ProfileId(new_id())
    command = CreateProfile(
        profile=body.value_object(profile_id, person.seal(body.name)),
        profiles_allowed=allowed.profiles,
        asked_by=_profile_of(caller),
        asked_within=caller.maturity_limit,
        proved=await is_proved(at, Proof(caller, account_id, body.password)),
    )
    # A request that is repeated gets the id of the first time: it is the subject of the outcome that was kept.
    target = Target(profile_id, of_account(account_id).stream_id)
    return Recorded.of(await at.handle(command, ACCOUNT, target))


@router.post(
    "/{profile_id}",
    responses=_refused_by(r.ProfileUnknown, r.KidsProfileUnlimited, *PROOFS),
)
async def change_profile(
    account_id: OwnAccount, profile_id: ProfileIdPath, body: ProfileBody, caller: Caller, at: At
) -> Recorded:
    """Have a profile be like this. To let it see more takes the account's password or the profile's PIN."""
    person = await at.person(account_id)
    proved = await is_proved(at, Proof(caller, account_id, body.password, body.pin, profile_id))
    profile = body.value_object(profile_id, person.seal(body.name))
    return await at.reply(ChangeProfile(profile=profile, proved=proved), account_id)


@router.post("/{profile_id}/preferences", responses=_refused_by(r.ProfileUnknown))
async def change_preferences(
    account_id: OwnAccount, profile_id: ProfileIdPath, body: PreferencesBody, at: At
) -> Recorded:
    """Have a profile watch like this."""
    return await at.reply(ChangePreferences(profile_id=profile_id, preferences=body.value_object()), account_id)


@router.post("/{profile_id}/pin", responses=_refused_by(r.ProfileUnknown, *PROOFS))
async def set_pin(
    account_id: OwnAccount, profile_id: ProfileIdPath, body: NewPinBody, caller: Caller, at: At
) -> Recorded:
    """Protect a profile by a PIN, or by another one: takes the account's password, or the PIN so far."""
    proved = await is_proved(at, Proof(caller, account_id, body.password, body.current_pin, profile_id))
    secrets = await setting_pin(at, profile_id, body.pin) if proved else None
    return await at.reply(SetPin(profile_id=profile_id, proved=proved), account_id, secrets)


@router.post("/{profile_id}/pin/remove", responses=_refused_by(r.ProfileUnknown, *PROOFS))
async def remove_pin(
    account_id: OwnAccount, profile_id: ProfileIdPath, body: ProofBody, caller: Caller, at: At
) -> Recorded:
    """Protect a profile by no PIN any more: takes the account's password, or the PIN."""
    proved = await is_proved(at, Proof(caller, account_id, body.password, body.pin, profile_id))
    return await at.reply(RemovePin(profile_id=profile_id, proved=proved), account_id)


@router.post("/{profile_id}/delete", responses=_refused_by(r.ProfileUnknown, *PROOFS))
async def delete_profile(
    account_id: OwnAccount, profile_id: ProfileIdPath, body: ProofBody, caller: Caller, at: At
) -> Recorded:
    """Take a profile away: sign-ins that have chosen it are left without one."""
    proved = await is_proved(at, Proof(caller, account_id, body.password, body.pin, profile_id))
    command = DeleteProfile(
        profile_id=profile_id,
        asked_by=_profile_of(caller),
        asked_within=caller.maturity_limit,
        proved=proved,
    )
    return await at.reply(command, account_id)


@router.post(
    "/{profile_id}/choose",
    responses=_refused_by(r.ProfileUnknown, r.SignInUnknown, r.PinMissing, r.PinWrong, *ATTEMPTS),
)
async def choose_profile(
    account_id: OwnAccount, profile_id: ProfileIdPath, body: ChoiceBody, caller: Caller, at: At
) -> TokensReply:
    """Watch as a profile on this device: new tokens, whose sign-in is for it from now on."""
    at.response.headers["Cache-Control"] = "no-store"
    return await choose(at, caller, account_id, profile_id, body.pin)


@router.post(
    "/{profile_id}/unlock",
    responses=_refused_by(r.ProfileNotChosen, r.ProfileUnknown, r.PinWrong, r.PinNotSet, *ATTEMPTS),
)
async def unlock_profile(
    account_id: OwnAccount, profile_id: ProfileIdPath, body: UnlockBody, caller: Caller, at: At
) -> UnlockedReply:
    """Play titles above the maturity limit for a while: an access token of the same caller without it."""
    token = await unlocked(at, caller, account_id, profile_id, body.pin)
    at.response.headers["Cache-Control"] = "no-store"
    return UnlockedReply(
        access_token=token,
        expires_in=at.opened.settings.unlock_ttl_s,
        scope=" ".join(sorted(caller.scopes)),
        profile_id=profile_id,
    )


def _profile_of(caller: Principal) -> ProfileId | None:
    return ProfileId(caller.profile_id) if caller.profile_id else None
