"""Limits the requests that an API takes: per client address, and per principal or playback session once it is verified.

Middleware around everything finds a request's class and counts its address; infra/access/authentication.py counts the
principal, and the ingest path its session. The perimeter puts RateLimit-Policy and RateLimit on the reply
(draft-ietf-httpapi-ratelimit-headers-10).
"""

from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_network
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from infra.http.client_address import client_address, is_within
from infra.http.problems import Problem, ProblemKind, Refusal, response_of
from infra.http.rate_limits import Limiter, Quota, Verdict
from infra.settings import Settings

KEY: Final = "playhead.rates"
"""Where a request's scope keeps what it was counted for."""
RATE_LIMITED: Final = ProblemKind(429, "rate-limited", "Too many requests came from you in a short time")


class RouteClass(StrEnum):
    """What a request is for, as far as limits are concerned. Each has two settings: rate_<class>, of a principal, and
    rate_<class>_address."""

    SIGN_IN = "sign_in"
    ACCOUNT = "account"
    INGEST = "ingest"
    CMCD = "cmcd"
    COMMAND = "command"
    QUERY = "query"


OF_COMMANDS: Final = {
    "registrations": RouteClass.SIGN_IN,
    "sign-in": RouteClass.SIGN_IN,
    "password-resets": RouteClass.SIGN_IN,
    "email-changes": RouteClass.SIGN_IN,
    "device-codes": RouteClass.SIGN_IN,
    "sign-out": RouteClass.ACCOUNT,
    "accounts": RouteClass.ACCOUNT,
    "api-keys": RouteClass.ACCOUNT,
}
"""Of what changes something, by the first word of its path after /v1; every other is a COMMAND."""
ADDRESSES_KEPT: Final = 4096
REPORTS: Final = ("/events", "/stop")
COLLECTOR: Final = "/cmcd"
"""Of players that resend all they keep when they are refused, so that a low limit would make more of it."""


class RateLimited(Refusal):
    """The caller made more requests than they may in a while."""


def class_of(method: str, path: str) -> RouteClass | None:
    """What a request is for; None: nothing that is limited, such as a probe."""
    parts = path.split("/", 3)
    if len(parts) < 3 or parts[1] not in ("v1", "oauth"):
        return None
    if parts[1] == "oauth":
        return RouteClass.SIGN_IN
    if parts[2] == "playback" and path.endswith(COLLECTOR):
        return RouteClass.CMCD
    if method in ("GET", "HEAD"):
        return RouteClass.QUERY
    if parts[2] == "playback" and path.endswith(REPORTS):
        return RouteClass.INGEST
    return OF_COMMANDS.get(parts[2], RouteClass.COMMAND)


class Rates:
    """What a request was counted for. `who`: its caller as far as known, None at an address that is not counted."""

    __slots__ = ("_limiter", "_quota", "verdicts", "who")

    def __init__(self, limiter: Limiter, quota: Quota) -> None:
        self._limiter = limiter
        self._quota = quota
        self.verdicts: list[Verdict] = []
        self.who: str | None = None

    def count(self, quota: Quota, who: str) -> None:
        """Count the request. Raises RateLimited."""
        self.who = who
        verdict = self._limiter.take((quota, who))
        self.verdicts.append(verdict)
        _check(verdict)

    def count_caller(self, who: str) -> None:
        """Count the request for a principal or a session, once. Raises RateLimited."""
        for verdict in self.verdicts:
            if verdict.quota is self._quota:
                return _check(verdict)
        self.count(self._quota, who)


def _check(verdict: Verdict) -> None:
    if not verdict.admitted:
        quota = verdict.quota
        raise RateLimited(
            f"at most {quota.most} requests in {quota.window_s} s are taken ({quota.name}); wait, then go on",
            headers={"Retry-After": str(verdict.retry_after_s)},
        )


def count_caller(scope: Scope, who: str) -> None:
    """Count a request for who was verified to send it. Raises RateLimited."""
    rates: Rates | None = scope.get(KEY)
    if rates is not None:
        rates.count_caller(who)


def caller_of(scope: Scope) -> str | None:
    """Who sends a request, as far as it was counted for anybody."""
    rates: Rates | None = scope.get(KEY)
    return None if rates is None else rates.who


class RateLimits:
    """The middleware, inside the one that says where requests come from."""

    def __init__(self, app: ASGIApp, *, limiter: Limiter, settings: Settings) -> None:
        self._app = app
        self._limiter = limiter
        free = [ip_network(each) for each in settings.rate_free_networks]
        self._is_free = lru_cache(ADDRESSES_KEPT)(lambda address: is_within(address, free))
        self._quotas = {each: quotas_of(each, settings) for each in RouteClass}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        of = class_of(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if of is None:
            await self._app(scope, receive, send)
            return
        of_caller, of_address = self._quotas[of]
        rates = scope[KEY] = Rates(self._limiter, of_caller)

        address = client_address(scope)
        try:
            if not self._is_free(address):
                rates.count(of_address, address)
        except RateLimited as refused:
            problem = Problem(RATE_LIMITED, str(refused), scope["path"])
            await response_of(problem, refused.headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def quotas_of(of: RouteClass, settings: Settings) -> tuple[Quota, Quota]:
    """A class's quotas, of a principal and of an address."""
    name = of.replace("_", "-")
    mine: str = getattr(settings, f"rate_{of}")
    address: str = getattr(settings, f"rate_{of}_address")
    return Quota.of(name, mine), Quota.of(f"{name}-address", address)


def headers_of(scope: Scope) -> list[tuple[bytes, bytes]]:
    """RateLimit-Policy and RateLimit of the reply to a request; nothing where nothing was counted."""
    rates: Rates | None = scope.get(KEY)
    if rates is None or not rates.verdicts:
        return []
    policies = [each.quota.policy for each in rates.verdicts]
    left = [each.quota.left % (each.left, each.reset_s) for each in rates.verdicts]
    return [(b"ratelimit-policy", b", ".join(policies)), (b"ratelimit", b", ".join(left))]
