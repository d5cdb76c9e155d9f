"""Who calls: the bearer token of a request as a Principal, the same way in both APIs (RFC 6750).

An app says once whose tokens it takes, `app.state.authentication = BearerAuthentication(tokens)`, adds PROBLEMS to its
table, and its routes ask for `Annotated[Principal, Depends(principal)]`.
"""

from typing import Final

import msgspec
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import Request

from infra.problems import ProblemKind, Problems, Refusal
from infra.tokens import BadToken, Principal, Tokens

REALM: Final = "playhead"
SCHEME: Final = "bearer "


class Unauthenticated(Refusal):
    """The request does not say who it is from, or says it with a token that does not hold."""


class Forbidden(Refusal):
    """The request is from someone who may not do this. Its subclasses say why."""


UNAUTHENTICATED = ProblemKind(401, "unauthenticated", "The request needs a valid access token")
FORBIDDEN = ProblemKind(403, "forbidden", "The access token does not allow this")
PROBLEMS: Final[Problems] = {Unauthenticated: UNAUTHENTICATED, Forbidden: FORBIDDEN}


class BearerAuthentication:
    """Reads `Authorization: Bearer <access token>`."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def principal(self, request: Request) -> Principal:
        """Who the request is from. Raises Unauthenticated."""
        given = request.headers.get("authorization")
        if given is None or given[: len(SCHEME)].lower() != SCHEME:
            raise _unauthenticated("Send an access token as `Authorization: Bearer <token>`.", error=None)
        try:
            return self._tokens.verify_access(given[len(SCHEME) :].strip())
        except (BadToken, msgspec.ValidationError) as error:
            raise _unauthenticated(f"The access token was not accepted: {error}.", error="invalid_token") from error


def _unauthenticated(detail: str, *, error: str | None) -> Unauthenticated:
    challenge = f'Bearer realm="{REALM}"' + (f', error="{error}"' if error else "")
    return Unauthenticated(detail, headers={"WWW-Authenticate": challenge})


class _PrincipalOfRequest(SecurityBase):
    """The dependency, as an object because that is how FastAPI documents a security scheme in OpenAPI."""

    def __init__(self) -> None:
        self.model = HTTPBearer(bearerFormat="JWT", description="An access token; `playhead token` mints one.")
        self.scheme_name = "AccessToken"

    async def __call__(self, request: Request) -> Principal:
        authentication: BearerAuthentication = request.app.state.authentication
        return authentication.principal(request)


principal = _PrincipalOfRequest()
