"""Who calls: the bearer token of a request as a Principal, the same way in both APIs (RFC 6750).

An app says once whose tokens it takes, `app.state.authentication = BearerAuthentication(tokens)`, adds PROBLEMS to its
table, and each of its routes declares what it Needs, or that it is Public; tests/architecture/test_routes.py fails for
one that does not.
"""

from typing import Final

from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import Request

from infra.access.api_keys import PREFIX, ApiKeys
from infra.access.permissions import Principal, Scope
from infra.access.revocations import Ended
from infra.access.tokens import BadToken, Tokens
from infra.http.cors import value_of
from infra.http.declared import Bearing, Public
from infra.http.problems import ProblemKind, Problems, Refusal
from infra.http.rate_limiting import RATE_LIMITED, RateLimited, count_caller

__all__ = ["BearerAuthentication", "Bearing", "Needs", "Public", "check_scope", "principal"]

REALM: Final = "playhead"
SCHEME: Final = b"bearer "
VERIFIED: Final = "playhead.principal"
"""Where a request's scope keeps its verified principal."""


class Unauthenticated(Refusal):
    """The request does not say who it is from, or says it with a token that does not hold."""


class Forbidden(Refusal):
    """The request is from someone who may not do this. Its subclasses say why."""


class ScopeMissing(Forbidden):
    """The access token does not hold the scope that the route needs (RFC 6750, section 3.1)."""


UNAUTHENTICATED = ProblemKind(401, "unauthenticated", "The request needs a valid access token")
FORBIDDEN = ProblemKind(403, "forbidden", "The access token does not allow this")
SCOPE_MISSING = ProblemKind(403, "scope-missing", "The access token lacks a scope that this needs")
PROBLEMS: Final[Problems] = {
    Unauthenticated: UNAUTHENTICATED,
    Forbidden: FORBIDDEN,
    ScopeMissing: SCOPE_MISSING,
    RateLimited: RATE_LIMITED,
}


class BearerAuthentication:
    """Reads `Authorization: Bearer <access token or API key>`. `ended`: what is refused before its tokens run out."""

    def __init__(self, tokens: Tokens, ended: Ended | None = None, api_keys: ApiKeys | None = None) -> None:
        self._tokens = tokens
        self._ended = ended
        self._api_keys = api_keys

    async def caller(self, request: Request) -> Principal:
        """Who the request is from, by an access token or an API key. Raises Unauthenticated, and what a look-up of a
        key raises while Postgres is away."""
        given = _given(request)
        if self._api_keys is None or not given.startswith(PREFIX):
            return self._by_access_token(given)
        try:
            return await self._api_keys.principal(given)
        except BadToken as error:
            raise _unauthenticated(f"The API key was not accepted: {error}.", error="invalid_token") from error

    def _by_access_token(self, given: str) -> Principal:
        try:
            caller = self._tokens.verify_access(given)
        except BadToken as error:
            raise _unauthenticated(f"The access token was not accepted: {error}.", error="invalid_token") from error
        if self._ended is not None and _has_ended(caller, self._ended):
            raise _unauthenticated("The sign-in has ended; sign in again.", error="invalid_token")
        return caller


def _given(request: Request) -> str:
    header = value_of(request.scope, b"authorization")
    if header is None or header[: len(SCHEME)].lower() != SCHEME:
        raise _unauthenticated("Send an access token as `Authorization: Bearer <token>`.", error=None)
    return header[len(SCHEME) :].strip().decode("latin-1")


def _has_ended(caller: Principal, ended: Ended) -> bool:
    return (caller.sign_in_id is not None and ended.has_sign_in(caller.sign_in_id)) or (
        caller.device_id is not None and ended.has_device(caller.device_id)
    )


def _unauthenticated(detail: str, *, error: str | None) -> Unauthenticated:
    challenge = f'Bearer realm="{REALM}"' + (f', error="{error}"' if error else "")
    return Unauthenticated(detail, headers={"WWW-Authenticate": challenge})


class Needs(SecurityBase):
    """What a route asks for: a caller who has one of these scopes, as `Annotated[Principal, Depends(Needs(...))]`.

    An object, because that is how FastAPI documents a security scheme, and so that a test can tell which routes declare
    nothing. Raises Unauthenticated, ScopeMissing.
    """

    scheme: Final = "AccessToken"

    def __init__(self, *scopes: Scope) -> None:
        self.scopes = frozenset(scopes)
        self.model = HTTPBearer(bearerFormat="JWT", description="An access token, or an API key.")
        self.scheme_name = self.scheme

    async def __call__(self, request: Request) -> Principal:
        caller = await principal(request)
        check_scope(caller, *self.scopes)
        return caller


async def principal(request: Request) -> Principal:
    """Who a request is from, verified once a request; also a dependency. Raises Unauthenticated, RateLimited."""
    known: Principal | None = request.scope.get(VERIFIED)
    if known is None:
        authentication: BearerAuthentication = request.app.state.authentication
        known = request.scope[VERIFIED] = await authentication.caller(request)
    count_caller(request.scope, known.subject)
    return known


def check_scope(caller: Principal, *scopes: Scope) -> None:
    """Raises ScopeMissing unless the caller has one of the scopes."""
    if caller.scopes.isdisjoint(scopes):
        wanted = sorted(scopes)
        raise ScopeMissing(
            f"this needs an access token with the scope {' or '.join(wanted)}",
            members={"scopes": wanted},
            headers={
                "WWW-Authenticate": f'Bearer realm="{REALM}", error="insufficient_scope", scope="{" ".join(wanted)}"'
            },
        )
