"""How both APIs document their refusals in OpenAPI: one Problem schema, and an example for each kind on each route."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from infra.access.authentication import Needs
from infra.http.access_table import access_table
from infra.http.api_page import POLICY, page_of
from infra.http.declared import Declared, Public
from infra.http.problems import BODY_TOO_SLOW, MEDIA_TYPE, OVERLOADED, TOO_MUCH_IN_FLIGHT, TYPE_BASE, ProblemKind
from infra.http.rate_limiting import RATE_LIMITED
from infra.http.request_bounds import HEADERS_TOO_LARGE, TIMED_OUT

Responses = dict[int | str, dict[str, Any]]  # FastAPI's own type for `responses=`

DOCUMENT_PATH: Final = "/openapi.json"
PAGE_PATH: Final = "/docs"
OF_PERIMETER: Final = (RATE_LIMITED, HEADERS_TOO_LARGE, TIMED_OUT, OVERLOADED)
OF_BODIES: Final = (BODY_TOO_SLOW, TOO_MUCH_IN_FLIGHT)
IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "examples": ['W/"eIAwtMEyCXGTSNRpjrFlyA"']},
    "description": "The ETag of a reply that the client has: 304 if it would be given the same",
}
ETAG: Final = {"schema": {"type": "string"}, "description": "What to send in If-None-Match; streams have none"}
NOT_MODIFIED: Final = {"description": "The reply is still what If-None-Match names", "content": {}}
SCHEMA_REF = {"$ref": "#/components/schemas/Problem"}
SCHEMA = {
    "title": "Problem",
    "description": "A refusal (RFC 9457). `type` ends in the problem's name; some problems have members of their own.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What was wrong with this request, and what to do."},
        "instance": {"type": "string", "description": "The path that was asked for."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "reason"],
                "properties": {"pointer": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
    "additionalProperties": True,
}


def refusals(*kinds: ProblemKind) -> Responses:
    """The `responses=` of a route that can refuse in these ways."""
    responses: Responses = {}
    for kind in kinds:
        response = responses.setdefault(
            kind.status,
            {"description": "", "content": {MEDIA_TYPE: {"schema": SCHEMA_REF, "examples": {}}}},
        )
        response["content"][MEDIA_TYPE]["examples"][kind.slug] = {"summary": kind.title, "value": _example(kind)}
        response["description"] = "; ".join(filter(None, (response["description"], kind.title)))
    return responses


def replies(example: object, *kinds: ProblemKind, media_type: str = "application/json") -> Responses:
    """The `responses=` of a route that answers 200 with something like `example`, and can refuse in these ways."""
    return {200: {"content": {media_type: {"example": example}}}, **refusals(*kinds)}


def document_refusals(app: FastAPI) -> None:
    """Put the Problem schema, which refusals() points at, into the app's OpenAPI document."""
    generate: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = SCHEMA
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents to extend it


def document_access(app: FastAPI) -> None:
    """Write into the app's OpenAPI document which scopes each operation asks for (any one of those that it names), and
    how the perimeter refuses.
    """
    generate: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        for entry in access_table(app):
            operation = document["paths"].get(entry.path, {}).get(entry.method.lower())
            if operation is None:
                continue
            if isinstance(entry.access, Needs):
                operation["security"] = [{Needs.scheme: [scope.value]} for scope in sorted(entry.access.scopes)]
            of_body = OF_BODIES if "requestBody" in operation else ()
            _add(operation["responses"], refusals(*OF_PERIMETER, *of_body))
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents to extend it


def document_tags(app: FastAPI) -> None:
    """Write into the app's OpenAPI document that replies are tagged, and what who has one already is answered."""
    generate: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        for item in document["paths"].values():
            responses = item.get("get", {}).get("responses", {})
            if "304" not in responses and "application/json" in responses.get("200", {}).get("content", {}):
                item["get"].setdefault("parameters", []).append(IF_NONE_MATCH)
                responses["200"].setdefault("headers", {})["ETag"] = ETAG
                responses["304"] = NOT_MODIFIED
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents to extend it


def _add(responses: dict[str, Any], more: Responses) -> None:
    for status, response in more.items():
        known = responses.setdefault(str(status), response)
        if known is not response and MEDIA_TYPE in known.get("content", {}):
            examples = known["content"][MEDIA_TYPE].setdefault("examples", {})
            for slug, example in response["content"][MEDIA_TYPE]["examples"].items():
                examples.setdefault(slug, example)


def serve_document(app: FastAPI) -> None:
    """Serve the app's OpenAPI document at DOCUMENT_PATH, and as a page at PAGE_PATH."""
    why = "what the API is, nothing of anybody"

    async def document(_: Request) -> Response:
        return JSONResponse(app.openapi())

    async def page(_: Request) -> Response:
        return HTMLResponse(page_of(app.openapi()), headers={"Content-Security-Policy": POLICY})

    app.router.routes.append(Declared(DOCUMENT_PATH, document, access=Public(why)))
    app.router.routes.append(Declared(PAGE_PATH, page, access=Public(why)))


def _example(kind: ProblemKind) -> dict[str, object]:
    return {
        "type": TYPE_BASE + kind.slug,
        "title": kind.title,
        "status": kind.status,
        "detail": f"{kind.title}.",
        "instance": "/v1/...",
    }
