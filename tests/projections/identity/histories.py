"""What an account and an API key went through, as records of identity.events."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace

from commands.decider import Decider
from commands.handling import Target
from commands.identity import commands as c
from commands.identity.api_keys import API_KEY, IssueApiKey, RevokeApiKey
from commands.identity.decider import ACCOUNT
from commands.identity.streams import of_account, of_api_key
from events.envelope import Envelope, Event
from events.identity import ApiKeyIssued, Device, Preferences, Profile, Role
from events.types import AccountId, ApiKeyId, DeviceId, ProfileId, Sealed, SignInId
from tests.builders import envelope

T0: Final = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
ME: Final = AccountId("a1")
KEY: Final = ApiKeyId("k1")
EMAIL, OTHER_EMAIL = Sealed("p1.email"), Sealed("p1.other-email")
TV: Final = Device(device_id=DeviceId("tv"), name=Sealed("p1.tv"), type="tv", platform="webos", model="C3")
PHONE: Final = Device(device_id=DeviceId("phone"), name=Sealed("p1.phone"), type="phone")
ANNA: Final = Profile(profile_id=ProfileId("anna"), name=Sealed("p1.anna"), avatar="fox", language="nl")
BO: Final = Profile(profile_id=ProfileId("bo"), name=Sealed("p1.bo"), kids=True, maturity_limit=7)
DUBBED: Final = Preferences(audio_language="en", quality="best")
ISSUED: Final = ApiKeyIssued(api_key_id=KEY, name="Dashboard", scopes=("operations:read", "playback:read"))


def sign_in(sign_in_id: str, device: Device, **values: Any) -> c.SignIn:
    return c.SignIn(sign_in_id=SignInId(sign_in_id), device=device, method="password", devices_allowed=5, **values)


def at(minutes: int) -> datetime:
    """The time of the command that comes so many minutes after T0."""
    return T0 + timedelta(minutes=minutes)


def history_of(decider: Decider[Any, Any], target: Target, commands: Sequence[Any]) -> list[Envelope[Event]]:
    """The records of a stream after commands, one a minute."""
    events: list[tuple[Event, datetime]] = []
    for minutes, command in enumerate(commands):
        state = decider.state_after((event for event, _ in events), decider.initial)
        events += [(event, at(minutes)) for event in decider.decide(command, state, at(minutes))]
    return [
        envelope(
            event,
            id=f"{target.stream_id}/{version}",
            subject=target.stream_id,
            partitionkey=target.stream_id,
            sequence=version,
            time=time,
            principal=ME,
        )
        for version, (event, time) in enumerate(events, 1)
    ]


def of_me(*commands: c.AccountCommand) -> list[Envelope[Event]]:
    """The records of an account, from its registration on."""
    return history_of(ACCOUNT, of_account(ME), [c.RegisterAccount(account_id=ME, email=EMAIL), *commands])


def by_staff(event: Envelope[Event], change: str | None = None) -> Envelope[Event]:
    """The record as staff would have made it."""
    return replace(event, principal="operator-1", clientaddress="192.0.2.7", change=change)


A_LIFE: Final = of_me(
    sign_in("s1", TV),
    c.CreateProfile(proved=True, profile=ANNA, profiles_allowed=5),
    c.CreateProfile(proved=True, profile=BO, profiles_allowed=5),
    sign_in("s2", PHONE),
    c.ChangeProfile(proved=True, profile=replace(ANNA, avatar="owl")),
    c.ChangePreferences(profile_id=ANNA.profile_id, preferences=DUBBED),
    c.SetPin(proved=True, profile_id=ANNA.profile_id),
    sign_in("s3", TV, known_as=TV.device_id),
    c.RenameDevice(device_id=TV.device_id, name=Sealed("p1.den")),
    c.GrantRole(role=Role.OPERATOR),
    c.GrantRole(role=Role.EDITOR),
    c.ChangeEmail(email=OTHER_EMAIL),
    c.ChangePassword(method="changed", kept=SignInId("s3")),
    c.RevokeRole(role=Role.OPERATOR),
    c.RemovePin(proved=True, profile_id=ANNA.profile_id),
    c.DeleteProfile(proved=True, profile_id=BO.profile_id),
    c.RemoveDevice(device_id=TV.device_id),
    sign_in("s4", PHONE, known_as=PHONE.device_id),
    c.WithdrawAccount(),
)
A_KEY: Final = history_of(API_KEY, of_api_key(KEY), [IssueApiKey(issued=ISSUED), RevokeApiKey(api_key_id=KEY)])
HISTORY: Final = [
    *(by_staff(event, '{"before":{},"after":{}}') if "Role" in event.type else event for event in A_LIFE),
    *(by_staff(event) for event in A_KEY),
]
