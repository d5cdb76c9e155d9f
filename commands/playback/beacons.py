"""Unload beacons: the last report of a page that is left, by a browser that then neither preflights nor sets headers.

`navigator.sendBeacon` and forms send text/plain or application/x-www-form-urlencoded, and nobody reads the reply; so
the playback token comes in the query or in the body.
"""

from typing import Final
from urllib.parse import parse_qsl

import msgspec

from commands.playback.refusals import ReportInvalid, ReportMalformed

TEXT: Final = "text/plain"
FORM: Final = "application/x-www-form-urlencoded"
TOKEN: Final = "token"
REPORT: Final = "report"
FIELDS_MAX: Final = 8


class _Carrying(msgspec.Struct):
    token: str | None = None


_carrying = msgspec.json.Decoder(_Carrying)


def kind_of(content_type: str | None) -> str | None:
    """TEXT or FORM, when a body of this Content-Type may be a beacon."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind if kind in (TEXT, FORM) else None


def token_in_query(query: bytes) -> str | None:
    """The token in a query string."""
    return _fields(query).get(TOKEN) if query else None


def unpacked(kind: str, body: bytes) -> tuple[bytes, str | None]:
    """The report in a beacon's body as JSON, and the token that came with it. Raises ReportMalformed, ReportInvalid."""
    if kind == FORM:
        fields = _fields(body)
        if REPORT not in fields:
            raise ReportInvalid(f"the form has no field `{REPORT}`, which holds the report as JSON")
        return fields[REPORT].encode(), fields.get(TOKEN)
    try:
        return body, _carrying.decode(body).token
    except msgspec.ValidationError as error:
        raise ReportInvalid(f"{error}; a beacon is {{token, sent_at, ...}}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReportMalformed(str(error)) from error


def _fields(encoded: bytes) -> dict[str, str]:
    """Fields by name; of one that comes twice, the first."""
    try:
        pairs = parse_qsl(encoded.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    except ValueError as error:  # UnicodeDecodeError is one
        raise ReportMalformed(f"not a form of at most {FIELDS_MAX} fields in UTF-8") from error
    return dict(reversed(pairs))
