"""Which pages of other origins may read our replies (Fetch standard): exactly those in settings.cors_origins.

Access tokens travel in a header that no browser adds by itself, so credentials are never allowed.
"""

from typing import Final

from starlette.types import Scope

from infra.http.problems import Problem, ProblemKind, response_of
from infra.positions import HEADER as POSITION_HEADER
from infra.settings import Settings
from infra.telemetry import CORRELATION_HEADER

RawHeaders = list[tuple[bytes, bytes]]

ORIGIN_NOT_ALLOWED: Final = ProblemKind(403, "origin-not-allowed", "Pages of this origin may not call this API")
EXPOSED: Final = ", ".join(
    (POSITION_HEADER, "ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", CORRELATION_HEADER)
)
METHODS: Final = "GET, POST, PUT, PATCH, DELETE"
TAKEN: Final = ", ".join(
    (
        "Authorization",
        "CMCD-Object",
        "CMCD-Request",
        "CMCD-Session",
        "CMCD-Status",
        "Content-Encoding",
        "Content-Type",
        "Idempotency-Key",
        "If-Match",
        "If-None-Match",
        "Last-Event-ID",
        POSITION_HEADER,
        "Playhead-Sent-At",
        CORRELATION_HEADER,
        "traceparent",
    )
)
PREFLIGHT_KEPT_S: Final = 600
VARY: Final = (b"vary", b"Origin")


class Cors:
    """The rule of one app."""

    def __init__(self, settings: Settings) -> None:
        self._origins: frozenset[bytes | None] = frozenset(each.encode() for each in settings.cors_origins)

    def headers(self, scope: Scope) -> RawHeaders:
        """What a reply to this request carries."""
        if not self._origins:
            return []
        origin = value_of(scope, b"origin")
        if origin not in self._origins or origin is None:
            return [VARY]
        return [
            VARY,
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", EXPOSED.encode()),
        ]

    def preflight(self, scope: Scope) -> tuple[int, RawHeaders, bytes] | None:
        """The whole reply to a preflight, before anybody is authenticated; None: the request is none."""
        if scope["method"] != "OPTIONS" or value_of(scope, b"access-control-request-method") is None:
            return None
        if value_of(scope, b"origin") not in self._origins:
            detail = "the origin is not among those that this installation lets in"
            refused = response_of(Problem(ORIGIN_NOT_ALLOWED, detail, scope["path"]))
            return refused.status_code, refused.raw_headers, bytes(refused.body)
        return 204, _ALLOWED, b""


_ALLOWED: Final[RawHeaders] = [
    (b"access-control-allow-methods", METHODS.encode()),
    (b"access-control-allow-headers", TAKEN.encode()),
    (b"access-control-max-age", str(PREFLIGHT_KEPT_S).encode()),
]


def value_of(scope: Scope, name: bytes) -> bytes | None:
    """A request's header, by its name in lower case."""
    for given, value in scope["headers"]:
        if given == name:
            return bytes(value)
    return None
