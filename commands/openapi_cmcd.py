"""Documents the CMCD collector, which is plain Starlette, for commands/openapi.py to put beside the other ingest
routes.
"""

from typing import Any, Final

from commands import errors
from commands.playback.collecting import DEFAULT_TARGET, TARGET
from commands.playback.refusals import (
    CmcdTargetInvalid,
    CmcdUnreadable,
    PlaybackTokenInvalid,
    ReportMalformed,
    SessionNotYours,
    SessionTerminated,
    SessionUnknown,
)
from infra.http.inflating import EncodingMalformed
from infra.http.openapi import refusals
from infra.http.problems import BODY_TOO_LARGE, ENCODING_UNSUPPORTED
from infra.publisher import KafkaUnavailable

Operation = dict[str, Any]  # of an OpenAPI document

LINE: Final = 'bl=(7900),br=(566),e=t,mtp=(46300),sf=h,sid="8e0c",sn=39,st=v,sta=p,ts=1795245293460,v=2\n'
OBJECT: Final = {"bl": [7_900], "e": "t", "sid": "8e0c", "sn": 40, "sta": "p", "ts": 1_795_245_303_460, "v": 2}
DESCRIPTION: Final = """What a player of another maker says of itself (CTA-5004 v1, CTA-5004-B v2): hls.js, dash.js and
Shaka Player send it when they are given this URL. Records with `e` are events; those without are requests.

204: every record that can be read is kept; those that cannot are counted. 410: the session has ended; what came was
kept. A record that comes again is the same record."""
REFUSALS: Final = (
    PlaybackTokenInvalid,
    SessionNotYours,
    SessionUnknown,
    SessionTerminated,
    ReportMalformed,
    CmcdUnreadable,
    CmcdTargetInvalid,
    KafkaUnavailable,
)
PARAMETERS: Final = [
    {"name": "session_id", "in": "path", "required": True, "schema": {"type": "string"}},
    {
        "name": TARGET,
        "in": "query",
        "description": "The name of this collector, for a player that has several: it numbers what it sends to each.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$", "default": DEFAULT_TARGET},
    },
    {
        "name": "CMCD",
        "in": "query",
        "description": "One record, of a request without a body. It may be in CMCD-* headers instead.",
        "schema": {"type": "string"},
        "example": LINE.strip(),
    },
]


def collector() -> Operation:
    """The collector's path."""
    as_text = {"schema": {"type": "string", "description": "A dictionary of RFC 8941 a line"}, "example": LINE}
    keys = {"type": "object", "description": "CMCD's keys: texts for tokens, arrays for lists"}
    as_json = {"schema": {"oneOf": [keys, {"type": "array", "items": keys}]}, "example": [OBJECT]}
    content = {"application/cmcd": as_text, "text/cmcd": as_text, "application/json": as_json}
    posted = {"requestBody": {"content": content}}
    kinds = (BODY_TOO_LARGE, ENCODING_UNSUPPORTED, errors.PROBLEMS[EncodingMalformed])
    return {
        "post": _operation("Collect CMCD", "collect_cmcd") | posted | _responses(*kinds),
        "get": _operation("Collect CMCD Of A Request", "collect_cmcd_of_request") | _responses(),
    }


def _operation(summary: str, name: str) -> Operation:
    return {
        "tags": ["playback"],
        "summary": summary,
        "operationId": name,
        "description": DESCRIPTION,
        "security": [{"PlaybackToken": []}, {"BeaconToken": []}],
        "parameters": PARAMETERS,
    }


def _responses(*kinds: Any) -> Operation:
    refused = refusals(*kinds, *(errors.PROBLEMS[refusal] for refusal in REFUSALS))
    taken = {"204": {"description": "Kafka has every record that could be read"}}
    return {"responses": {**taken, **{str(status): reply for status, reply in refused.items()}}}
