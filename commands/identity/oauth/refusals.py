"""How the OAuth routes refuse: problem documents that also hold what OAuth's clients read, `error` and
`error_description` (RFC 6749 section 5.2, RFC 8628 section 3.5).
"""

from typing import ClassVar, Final

from events.refusals import Refusal
from infra.http.problems import ProblemKind, Problems

NO_STORE: Final = {"Cache-Control": "no-store"}


class OAuthRefusal(Refusal):
    """A request to an OAuth route was refused. `error`: its name there."""

    error: ClassVar[str]

    def __init__(self, detail: str) -> None:
        super().__init__(detail, members={"error": self.error, "error_description": detail}, headers=NO_STORE)


class OAuthRequestInvalid(OAuthRefusal):
    """A parameter is missing, malformed, or comes twice."""

    error = "invalid_request"


class GrantTypeUnsupported(OAuthRefusal):
    """The route gives no tokens for this."""

    error = "unsupported_grant_type"


class GrantInvalid(OAuthRefusal):
    """The refresh token or the device code does not hold, or not any more."""

    error = "invalid_grant"


class ScopeInvalid(OAuthRefusal):
    """More is asked for than the sign-in may do."""

    error = "invalid_scope"


class AuthorizationPending(OAuthRefusal):
    """Nobody has entered the user code yet."""

    error = "authorization_pending"


class SlowDown(OAuthRefusal):
    """The device asks too often: five seconds longer from now on."""

    error = "slow_down"


class DeviceCodeExpired(OAuthRefusal):
    """Nobody entered the user code in time."""

    error = "expired_token"


class DeviceDenied(OAuthRefusal):
    """Somebody entered the user code, and denied it."""

    error = "access_denied"


class DeviceCodeUnknown(Refusal):
    """No device waits under the user code that somebody entered."""


PROBLEMS: Final[Problems] = {
    OAuthRequestInvalid: ProblemKind(400, "oauth-request-invalid", "The form does not hold what the route takes"),
    GrantTypeUnsupported: ProblemKind(400, "grant-type-unsupported", "No tokens are given for this grant type"),
    GrantInvalid: ProblemKind(400, "grant-invalid", "The refresh token or device code does not hold any more"),
    ScopeInvalid: ProblemKind(400, "scope-invalid", "The sign-in may not do all that is asked for"),
    AuthorizationPending: ProblemKind(400, "authorization-pending", "Nobody has entered the user code yet"),
    SlowDown: ProblemKind(400, "slow-down", "The device asks too often"),
    DeviceCodeExpired: ProblemKind(400, "device-code-expired", "Nobody entered the user code in time"),
    DeviceDenied: ProblemKind(400, "device-denied", "Somebody denied the device"),
    DeviceCodeUnknown: ProblemKind(404, "device-code-unknown", "No device waits under this code"),
}
