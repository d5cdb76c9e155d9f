"""Who may read what: a viewer their own profile, operators and analysts everything of playback."""

from typing import Final

from infra.authentication import Forbidden
from infra.permissions import Principal
from infra.problems import ProblemKind

OPERATOR: Final = "operator"
ANALYST: Final = "analyst"


class NotYourProfile(Forbidden):
    """The profile is another viewer's."""


class SessionNotYours(Forbidden):
    """The session is another viewer's."""


class OperatorsOnly(Forbidden):
    """Only operators may see how the views are doing."""


NOT_YOUR_PROFILE = ProblemKind(403, "not-your-profile", "The profile belongs to someone else")
SESSION_NOT_YOURS = ProblemKind(403, "session-not-yours", "The session belongs to someone else")
OPERATORS_ONLY = ProblemKind(403, "operators-only", "Only operators may do this")


def sees_all_playback(principal: Principal) -> bool:
    """Whether this principal may read what any viewer watched."""
    return OPERATOR in principal.roles or ANALYST in principal.roles


def check_profile(principal: Principal, profile_id: str) -> None:
    """Raises NotYourProfile."""
    if principal.profile_id != profile_id and not sees_all_playback(principal):
        raise NotYourProfile("The access token is for another profile; take one for the profile in the path.")


def check_session(principal: Principal, profile_id: str) -> None:
    """Raises SessionNotYours; `profile_id` is whose session it is."""
    if principal.profile_id != profile_id and not sees_all_playback(principal):
        raise SessionNotYours("The session was played by another profile than the one that the access token is for.")


def check_operator(principal: Principal) -> None:
    """Raises OperatorsOnly."""
    if OPERATOR not in principal.roles:
        raise OperatorsOnly(f'This needs an access token with the role "{OPERATOR}".')
