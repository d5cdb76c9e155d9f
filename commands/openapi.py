"""Documents the ingest routes, which are plain Starlette, in the same OpenAPI document as the others."""

from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import FastAPI

from commands import errors
from commands.playback.refusals import (
    PlaybackTokenInvalid,
    ReportEmpty,
    ReportInvalid,
    ReportMalformed,
    ReportTooLarge,
    SessionNotYours,
    SessionTerminated,
    SessionUnknown,
)
from commands.playback.reporting import ReportReply
from commands.playback.reports import ReportBody, StopBody
from infra.http.openapi import refusals
from infra.http.problems import BODY_TOO_LARGE, ENCODING_UNSUPPORTED
from infra.publisher import KafkaUnavailable

Document = dict[str, Any]  # an OpenAPI document, as FastAPI makes it

REPORT_EXAMPLE = {
    "sent_at": "2026-03-01T20:00:12Z",
    "events": [
        {"type": "started", "seq": 0, "at": "2026-03-01T20:00:01Z", "position_ms": 0, "startup_ms": 800},
        {"type": "heartbeat", "seq": 1, "at": "2026-03-01T20:00:11Z", "position_ms": 10_000, "bitrate_kbps": 4500},
    ],
}
STOP_EXAMPLE = {"sent_at": "2026-03-01T20:40:01Z", "seq": 240, "at": "2026-03-01T20:40:00Z", "position_ms": 2_390_000}
REPLY_EXAMPLE = {
    "results": [{"status": "ok", "seq": 0}, {"status": "ok", "seq": 1}],
    "lease_expires_at_ms": 1_772_395_242_000,
}
REFUSALS: tuple[type[Exception], ...] = (
    PlaybackTokenInvalid,
    SessionNotYours,
    SessionUnknown,
    SessionTerminated,
    ReportMalformed,
    ReportInvalid,
    KafkaUnavailable,
)


def document_ingest(app: FastAPI) -> None:
    """Add the ingest routes and their schemas to the app's document."""
    generate: Callable[[], Document] = app.openapi

    def openapi() -> Document:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        (body, stop, reply), found = msgspec.json.schema_components(
            (ReportBody, StopBody, ReportReply), ref_template="#/components/schemas/{name}"
        )
        schemas.update(found)
        document["components"].setdefault("securitySchemes", {})["PlaybackToken"] = {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The playback_token that StartPlayback replied.",
        }
        paths = document["paths"]
        paths["/v1/playback/sessions/{session_id}/events"] = {
            "post": _operation("Report", "report", (body, REPORT_EXAMPLE), reply, (ReportEmpty, ReportTooLarge))
        }
        paths["/v1/playback/sessions/{session_id}/stop"] = {
            "post": _operation("Stop Playback", "stop", (stop, STOP_EXAMPLE), reply, ())
        }
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents to extend it


def _operation(
    summary: str, name: str, body: tuple[Document, object], reply: Document, refused: tuple[type[Exception], ...]
) -> Document:
    schema, example = body
    kinds = (BODY_TOO_LARGE, ENCODING_UNSUPPORTED, *(errors.PROBLEMS[refusal] for refusal in (*REFUSALS, *refused)))
    return {
        "tags": ["playback"],
        "summary": summary,
        "operationId": f"{name}_playback",
        "security": [{"PlaybackToken": []}],
        "parameters": [{"name": "session_id", "in": "path", "required": True, "schema": {"type": "string"}}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}},
        "responses": {
            "200": {
                "description": "A result for each event, in order",
                "content": {"application/json": {"schema": reply, "example": REPLY_EXAMPLE}},
            },
            **{str(status): response for status, response in refusals(*kinds).items()},
        },
    }
