"""Who may read what: a viewer what their own profile watched, staff with the scope for it what everyone did."""

from infra.access.authentication import Forbidden
from infra.access.permissions import Principal, Scope
from infra.http.problems import ProblemKind


class NotYourProfile(Forbidden):
    """The profile is another viewer's."""


class SessionNotYours(Forbidden):
    """The session is another viewer's."""


NOT_YOUR_PROFILE = ProblemKind(403, "not-your-profile", "The profile belongs to someone else")
SESSION_NOT_YOURS = ProblemKind(403, "session-not-yours", "The session belongs to someone else")


def may_read(principal: Principal, profile_id: str) -> bool:
    """Whether this principal may read what a profile watched."""
    own = principal.profile_id == profile_id and Scope.WATCHING in principal.scopes
    return own or Scope.PLAYBACK_READ in principal.scopes


def check_profile(principal: Principal, profile_id: str) -> None:
    """Raises NotYourProfile."""
    if not may_read(principal, profile_id):
        raise NotYourProfile("The access token is for another profile; take one for the profile in the path.")


def check_session(principal: Principal, profile_id: str) -> None:
    """Raises SessionNotYours; `profile_id` is whose session it is."""
    if not may_read(principal, profile_id):
        raise SessionNotYours("The session was played by another profile than the one that the access token is for.")
