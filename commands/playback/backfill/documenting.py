"""What OpenAPI says of backfills, whose bodies and replies are lines of JSON."""

from typing import Any, Final, TypedDict

import msgspec
from starlette.responses import Response

from commands import errors
from commands.handling import IdempotencyKeyMissing
from commands.playback.backfill.answering import MEDIA_TYPE
from commands.playback.refusals import BackfillBusy, BackfillOvertaken, BackfillTooLong
from infra.event_log import IdempotencyKeyReused
from infra.http.inflating import TAKEN, EncodingMalformed
from infra.http.openapi import Responses, refusals
from infra.http.problems import BODY_TOO_LARGE, BODY_TOO_SLOW, ENCODING_UNSUPPORTED, INVALID_REQUEST
from infra.publisher import KafkaUnavailable

LINES: Final = {"type": "string", "description": "JSON objects, one a line"}
SESSION: Final = {
    "session_id": "old-8812",
    "account_id": "account-1",
    "profile_id": "profile-1",
    "started_at": "2025-12-24T19:00:00Z",
    "title": {"title_id": "sintel", "kind": "movie", "name": "Sintel", "duration_ms": 888_000},
    "device": {"device_id": "tv-1", "type": "tv"},
}
IMPORT: Final = (
    {"session": SESSION, "start_position_ms": 0},
    {"session": SESSION, "report": {"type": "stopped", "seq": 0, "at": "2025-12-24T19:10:00Z", "position_ms": 600_000}},
)
REPORTED: Final = (
    {"type": "started", "seq": 0, "at": "2026-03-01T20:00:01Z", "position_ms": 0},
    {"type": "stopped", "seq": 1, "at": "2026-03-01T20:40:01Z", "position_ms": 2_390_000},
)
REPLY: Final = (
    {"line": 1, "status": "ok", "seq": 0},
    {"line": 2, "status": "rejected", "seq": 1, "problem": "event-invalid", "reason": "..."},
    {
        "done": True,
        "lines": 2,
        "accepted": 1,
        "duplicates": 0,
        "warnings": 0,
        "rejected": 1,
        "retry": 0,
        "problem": None,
        "reason": None,
    },
)
REFUSED: Final[tuple[type[Exception], ...]] = (
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    BackfillTooLong,
    BackfillBusy,
    BackfillOvertaken,
    EncodingMalformed,
    KafkaUnavailable,
)


class Documented(TypedDict):
    """What FastAPI's decorator of a route is given."""

    response_class: type[Response]
    responses: Responses
    openapi_extra: dict[str, Any]  # FastAPI's own type for it


def documented(lines: tuple[object, ...], *refused: type[Exception]) -> Documented:
    """A route that takes such lines, and refuses so beside what every backfill may be refused for."""
    kinds = (errors.PROBLEMS[each] for each in (*REFUSED, *refused))
    of_all = (BODY_TOO_LARGE, BODY_TOO_SLOW, ENCODING_UNSUPPORTED, INVALID_REQUEST, errors.STORE_UNAVAILABLE)
    return Documented(
        response_class=Response,
        responses={
            200: {
                "description": "How each line ended, in order, and a last line with `done`; each once Kafka has it.",
                "content": {MEDIA_TYPE: {"schema": LINES, "example": _text(REPLY)}},
            },
            **refusals(*of_all, *kinds),
        },
        openapi_extra={
            "parameters": [
                {
                    "name": "Content-Encoding",
                    "in": "header",
                    "schema": {"type": "string", "enum": ["identity", *TAKEN.split(", ")]},
                }
            ],
            "requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": LINES, "example": _text(lines)}}},
        },
    )


def _text(lines: tuple[object, ...]) -> str:
    return "".join(msgspec.json.encode(line).decode() + "\n" for line in lines)
