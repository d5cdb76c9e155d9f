"""The request bodies of profiles, and the replies of what is chosen and unlocked."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from commands.fields import Body, Id, Locale, PlainName
from commands.identity.passwords import PasswordText
from commands.identity.pins import Pin
from events.identity import Preferences, Profile
from events.types import ProfileId, Sealed

MaturityLimit = Annotated[
    int, Field(ge=0, le=21, strict=True, description="titles for a higher minimum age need a PIN")
]
PROFILE_EXAMPLE: Final[dict[str, Any]] = {
    "name": "Mina",
    "avatar": "fox",
    "language": "ko",
    "kids": True,
    "maturity_limit": 7,
}


def _example(**example: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class NewProfileBody(Body):
    """A profile. `avatar`: the id of a picture. `language`: of what it is shown. `password`: the account's, where a
    profile with a maturity limit asks for one above it."""

    model_config = _example(**PROFILE_EXAMPLE)

    name: PlainName
    avatar: Id | None = None
    language: Locale = "en"
    kids: bool = False
    maturity_limit: MaturityLimit | None = None
    password: PasswordText | None = None

    def value_object(self, profile_id: ProfileId, name: Sealed) -> Profile:
        """As events hold it."""
        return Profile(
            profile_id=profile_id,
            name=name,
            avatar=self.avatar,
            language=self.language,
            kids=self.kids,
            maturity_limit=self.maturity_limit,
        )


class ProfileBody(NewProfileBody):
    """A profile as it is to be, whole. `password` or `pin`: where it may see more than it did."""

    model_config = _example(**PROFILE_EXAMPLE, pin="4711")

    pin: Pin | None = None


class PreferencesBody(Body):
    """How a profile likes to watch, whole. Languages: null is the title's own audio, and no subtitles."""

    model_config = _example(audio_language="ko", subtitles_language=None, autoplay_next=True, quality="data_saver")

    audio_language: Locale | None = None
    subtitles_language: Locale | None = None
    autoplay_next: bool = True
    autoplay_previews: bool = True
    quality: Literal["auto", "data_saver", "best"] = "auto"

    def value_object(self) -> Preferences:
        """As events hold it."""
        return Preferences(**self.model_dump())


class NewPinBody(Body):
    """The PIN to set, and `password` or `current_pin`."""

    model_config = _example(pin="4711", password="correct horse battery staple")

    pin: Pin
    password: PasswordText | None = None
    current_pin: Pin | None = None


class ProofBody(Body):
    """The account's `password`, or the profile's `pin`."""

    model_config = _example(pin="4711")

    password: PasswordText | None = None
    pin: Pin | None = None


class ChoiceBody(Body):
    """The profile's PIN, if it has one."""

    model_config = _example(pin="4711")

    pin: Pin | None = None


class UnlockBody(Body):
    """The profile's PIN."""

    model_config = _example(pin="4711")

    pin: Pin


class UnlockedReply(BaseModel):
    """An access token that plays titles above the maturity limit. `expires_in`: seconds; there is no refresh token."""

    model_config = _example(
        access_token="eyJhbGciOiJFZERTQSJ9...",
        token_type="Bearer",
        expires_in=900,
        scope="account catalog:read playback subscription watching",
        profile_id="019aa3c2-7d1e-7c3a-9a52-0c2f3f1f6f10",
    )

    access_token: str
    token_type: str = "Bearer"
    expires_in: int
    scope: str
    profile_id: str
