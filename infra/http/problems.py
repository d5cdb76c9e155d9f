"""RFC 9457: how both APIs refuse. One table per app maps exceptions to kinds; this renders them.

Routes raise; nothing but this module writes application/problem+json.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from events.refusals import Refusal
from infra.telemetry import CORRELATION_HEADER

__all__ = ["Problem", "ProblemKind", "Problems", "Refusal", "install", "response_of"]

MEDIA_TYPE = "application/problem+json"
TYPE_BASE = "https://playhead.dev/problems/"


@dataclass(frozen=True)
class ProblemKind:
    """A named way to refuse. `slug` ends the type URI and names its section in docs/problems.md."""

    status: int
    slug: str
    title: str


Problems = Mapping[type[Exception], ProblemKind]

INVALID_REQUEST = ProblemKind(422, "invalid-request", "The request does not have the shape that this route takes")
MALFORMED_JSON = ProblemKind(400, "malformed-json", "The body is not JSON")
NOT_FOUND = ProblemKind(404, "no-such-route", "There is nothing at this path")
METHOD_NOT_ALLOWED = ProblemKind(405, "method-not-allowed", "This path does not take this method")
BODY_TOO_LARGE = ProblemKind(413, "body-too-large", "The body is larger than this route takes")
ENCODING_UNSUPPORTED = ProblemKind(415, "encoding-unsupported", "The body's encoding is not taken here")
BODY_TOO_SLOW = ProblemKind(408, "body-too-slow", "The body did not arrive in time")
TOO_MUCH_IN_FLIGHT = ProblemKind(429, "too-much-in-flight", "So much of yours is under way already")
OVERLOADED = ProblemKind(503, "overloaded", "This process serves as many requests as it may")
INTERNAL = ProblemKind(500, "internal-error", "Playhead failed to answer")
HTTP_KINDS = {
    kind.status: kind
    for kind in (
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        BODY_TOO_SLOW,
        BODY_TOO_LARGE,
        ENCODING_UNSUPPORTED,
        TOO_MUCH_IN_FLIGHT,
        OVERLOADED,
    )
}


@dataclass(frozen=True)
class Problem:
    """One problem document."""

    kind: ProblemKind
    detail: str
    instance: str
    members: Mapping[str, object] = field(default_factory=dict)

    def body(self) -> bytes:
        """The document as JSON."""
        return msgspec.json.encode(
            {
                "type": TYPE_BASE + self.kind.slug,
                "title": self.kind.title,
                "status": self.kind.status,
                "detail": self.detail,
                "instance": self.instance,
                **self.members,
            }
        )


def response_of(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The reply that carries a problem."""
    return Response(problem.body(), status_code=problem.kind.status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def install(app: FastAPI, problems: Problems) -> None:
    """Answer every exception in the table, and whatever else goes wrong, with a problem document."""

    async def refused(request: Request, exc: Exception) -> Response:
        kind = next(problems[cls] for cls in type(exc).__mro__ if cls in problems)
        members, headers = (exc.members, exc.headers) if isinstance(exc, Refusal) else ({}, {})
        return response_of(Problem(kind, str(exc), request.url.path, members), headers)

    async def http(request: Request, exc: Exception) -> Response:
        cause = exc.__cause__  # what was raised while the body was read, of which FastAPI makes a 400
        if isinstance(cause, Exception) and isinstance(cause, tuple(problems)):
            return await refused(request, cause)
        return await _http(request, exc)

    for exception_class in problems:
        app.add_exception_handler(exception_class, refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, _failed)


async def _invalid(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    if exc.errors() and exc.errors()[0]["type"] == "json_invalid":
        return response_of(Problem(MALFORMED_JSON, _malformed(exc), request.url.path))
    errors = [
        {"pointer": "/" + "/".join(str(part) for part in error["loc"]), "reason": error["msg"]}
        for error in exc.errors()
    ]
    detail = "; ".join(f"{error['pointer']}: {error['reason']}" for error in errors[:5])
    return response_of(Problem(INVALID_REQUEST, detail, request.url.path, {"errors": errors[:50]}))


def _malformed(exc: RequestValidationError) -> str:
    error = exc.errors()[0]
    return f"at character {error['loc'][-1]}: {error['ctx']['error']}"


async def _http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    kind = HTTP_KINDS.get(exc.status_code, ProblemKind(exc.status_code, "refused", "The request was refused"))
    return response_of(Problem(kind, str(exc.detail), request.url.path), exc.headers)


async def _failed(request: Request, _: Exception) -> Response:
    correlation_id = str(request.scope.get("correlation_id", ""))
    problem = Problem(INTERNAL, "The failure was logged under this correlation id.", request.url.path)
    return response_of(problem, {CORRELATION_HEADER: correlation_id})
