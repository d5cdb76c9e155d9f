"""Documents the ingest routes, which are plain Starlette, in the same OpenAPI document as the others."""

from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import FastAPI

from commands import errors
from commands.openapi_cmcd import collector
from commands.playback import beacons, collecting
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
from infra.http.inflating import TAKEN, EncodingMalformed
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
    "results": [{"status": "duplicate", "seq": 0}, {"status": "ok", "seq": 1}],
    "lease_expires_at_ms": 1_772_395_242_000,
}
REFUSALS: tuple[type[Exception], ...] = (
    PlaybackTokenInvalid,
    SessionNotYours,
    SessionUnknown,
    SessionTerminated,
    EncodingMalformed,
    ReportMalformed,
    ReportInvalid,
    KafkaUnavailable,
)


BEACONS = """The body may be compressed, by one of gzip, deflate, br and zstd; limits count inflated bytes.

A beacon, which cannot set headers, sends text/plain or a form without Authorization, with the playback token in its
query or body, and is answered with 204."""
SECURITY = {
    "PlaybackToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The playback_token that StartPlayback replied.",
    },
    "BeaconToken": {
        "type": "apiKey",
        "in": "query",
        "name": beacons.TOKEN,
        "description": "The same, of a beacon; it may be in the body instead.",
    },
}
PARAMETERS = [
    {"name": "session_id", "in": "path", "required": True, "schema": {"type": "string"}},
    {
        "name": "Content-Encoding",
        "in": "header",
        "schema": {"type": "string", "enum": ["identity", *TAKEN.split(", ")]},
    },
]


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
        document["components"].setdefault("securitySchemes", {}).update(SECURITY)
        paths = document["paths"]
        paths["/v1/playback/sessions/{session_id}/events"] = {
            "post": _operation("Report", "report", (body, REPORT_EXAMPLE), reply, (ReportEmpty, ReportTooLarge))
        }
        paths["/v1/playback/sessions/{session_id}/stop"] = {
            "post": _operation("Stop Playback", "stop", (stop, STOP_EXAMPLE), reply, ())
        }
        paths[collecting.PATH] = collector()
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents to extend it


def _operation(
    summary: str, name: str, body: tuple[Document, object], reply: Document, refused: tuple[type[Exception], ...]
) -> Document:
    kinds = (BODY_TOO_LARGE, ENCODING_UNSUPPORTED, *(errors.PROBLEMS[refusal] for refusal in (*REFUSALS, *refused)))
    return {
        "tags": ["playback"],
        "summary": summary,
        "operationId": f"{name}_playback",
        "description": BEACONS,
        "security": [{"PlaybackToken": []}, {"BeaconToken": []}],
        "parameters": PARAMETERS,
        "requestBody": {"required": True, "content": _contents(*body)},
        "responses": {
            "200": {
                "description": "A result for each event, in order",
                "headers": {
                    "Playhead-Position": {
                        "schema": {"type": "string"},
                        "description": "Of the last event recorded: a query that sends it waits until its view has it",
                    },
                    "Retry-After": {
                        "schema": {"type": "integer"},
                        "description": "Seconds after which to send again what has the status retry, if anything has",
                    },
                },
                "content": {"application/json": {"schema": reply, "example": REPLY_EXAMPLE}},
            },
            "204": {"description": "What a beacon reported was taken; events that are rejected are not named"},
            **_with_remarks({str(status): response for status, response in refusals(*kinds).items()}),
        },
    }


def _contents(schema: Document, example: object) -> Document:
    """The body in each of its media types: JSON, and those of a beacon."""
    text = msgspec.json.encode(example).decode()
    return {
        "application/json": {"schema": schema, "example": example},
        beacons.TEXT: {
            "schema": {"type": "string", "description": "The JSON as text; `token` beside `sent_at`"},
            "example": f'{{"token":"eyJ...",{text[1:]}',
        },
        beacons.FORM: {
            "schema": {
                "type": "object",
                "required": [beacons.REPORT],
                "properties": {
                    beacons.REPORT: {"type": "string", "description": "The JSON as text"},
                    beacons.TOKEN: {"type": "string"},
                },
            },
            "example": {beacons.REPORT: text, beacons.TOKEN: "eyJ..."},
        },
    }


def _with_remarks(responses: Document) -> Document:
    """415 says which encodings are taken (RFC 9110, 15.5.16), 410 that it may come without a body."""
    responses[str(ENCODING_UNSUPPORTED.status)]["headers"] = {
        "Accept-Encoding": {"schema": {"type": "string", "const": TAKEN}}
    }
    gone = responses[str(errors.PROBLEMS[SessionTerminated].status)]
    gone["description"] += "; without a body: the session timed out and no place is left, start a new one silently"
    return responses
