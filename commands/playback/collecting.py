"""The CMCD collector: .../cmcd, where players of other makers report (CTA-5004-B). Plain Starlette, on the short way.

No player reads a reply's body: its status is all that it acts on. 204 is said once Kafka has the records, 410 ends a
player's reports, and at 429 and 503 a player sends again, all that it keeps and up to 27 times a second; so what can be
read is taken although its neighbours cannot, and a refusal costs less than an acceptance.
"""

import re
from typing import Final
from urllib.parse import unquote_plus

from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response

from commands.dependencies import context_of, header_of, resources
from commands.playback.bearing import granted_in_path, token_of
from commands.playback.cmcd.deviations import counted
from commands.playback.cmcd.observing import observe, progress_of
from commands.playback.cmcd.players import RESENDS_AT_GONE, Player, player_of
from commands.playback.cmcd.records import (
    Bounds,
    Reading,
    Reason,
    Unreadable,
    read_headers,
    read_json,
    read_lines,
    read_query,
)
from commands.playback.refusals import CmcdTargetInvalid, CmcdUnreadable
from commands.playback.terminating import tell_of, terminated
from events.cmcd import Record
from events.topics import PLAYBACK
from infra.http.declared import Bearing, Declared
from infra.http.request_bounds import inflated_body
from infra.positions import HEADER as POSITION_HEADER

PATH: Final = "/v1/playback/sessions/{session_id}/cmcd"
METHODS: Final = ("POST", "GET")
JSON: Final = "application/json"
TARGET: Final = "target"
DEFAULT_TARGET: Final = "default"
NAMED: Final = 5
"""How many of what could not be read a refusal names."""
ACCESS: Final = Bearing("the playback token of the session in the path, in Authorization or, of a player, in its query")

RECORDS: Final = Counter("playhead_cmcd_records_total", "CMCD records taken", ["player"])
DEVIATIONS: Final = Counter(
    "playhead_cmcd_deviations_total", "Where players left CTA-5004 and were understood", ["player", "deviation"]
)
UNREADABLE: Final = Counter("playhead_cmcd_unreadable_total", "CMCD records that nobody could read", ["reason"])

_TARGET_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


async def collect(request: Request) -> Response:
    """Take what a player says of itself: in its body, its query or its headers."""
    opened = resources(request)
    grant = await granted_in_path(request, opened, _token_of(request))
    session, target = grant.session, _target_of(request)
    player = player_of(session.device)
    records = _records(await _readings(request, opened.cmcd_bounds))
    context = context_of(request, session.profile_id)
    bodies = observe(
        records, session, context, target=target, received_at=opened.clock(), slack=opened.cmcd_bounds.clock_slack
    )
    position = await opened.publisher.publish(PLAYBACK.name, session.profile_id, bodies)
    _count(records, player)
    headers = {POSITION_HEADER: str(position)}
    renewal = await opened.leases.renew(grant, progress_of(records))
    await tell_of(opened, session, renewal, context)
    if not renewal.held.is_over or player in RESENDS_AT_GONE:
        return Response(status_code=204, headers=headers)
    if renewal.terminated is not None:
        raise await terminated(opened, session.account_id, renewal.terminated, headers=headers)
    return Response(status_code=410, headers=headers)


def _token_of(request: Request) -> str | None:
    """The playback token: in Authorization, else in the query, which is looked through quickly when nothing in it is
    encoded.
    """
    query: bytes = request.scope["query_string"]
    plain = None if b"%" in query or b"+" in query else _argument(query, b"token=")
    return token_of(request) if plain is None or header_of(request, b"authorization") else plain.decode("latin-1")


def _target_of(request: Request) -> str:
    """Which of its player's collectors this is, by the query."""
    found = _argument(request.scope["query_string"], b"target=")
    if found is None:
        return DEFAULT_TARGET
    name = unquote_plus(found.decode("latin-1"))
    if not _TARGET_NAME.fullmatch(name):
        raise CmcdTargetInvalid("a target's name is 1 to 64 letters, digits, dots, underscores and hyphens")
    return name


def _argument(query: bytes, name: bytes) -> bytes | None:
    """The first argument of a name, which ends in its equals sign."""
    return next((part[len(name) :] for part in query.split(b"&") if part.startswith(name)), None)


async def _readings(request: Request, bounds: Bounds) -> list[Reading]:
    """What was sent, wherever it is; a request without a body speaks by its query or its headers."""
    body = await inflated_body(request) if request.method == "POST" else b""
    if body.strip():
        is_json = (header_of(request, b"content-type") or "").partition(";")[0].strip().lower() == JSON
        return read_json(body, bounds) if is_json else read_lines(body, bounds)
    by_query = read_query(request.scope["query_string"].decode("latin-1"), bounds)
    if not _is_absent(by_query):
        return [by_query]
    return [read_headers(request.headers, bounds)]


def _is_absent(reading: Reading) -> bool:
    return isinstance(reading, Unreadable) and reading.reason is Reason.ABSENT


def _records(readings: list[Reading]) -> list[Record]:
    """The records among what was read; what could not be is counted. Raises CmcdUnreadable when there is none."""
    records = []
    for reading in readings:
        if isinstance(reading, Record):
            records.append(reading)
        else:
            UNREADABLE.labels(reading.reason).inc()
    if not records:
        raise _unreadable(readings)
    return records


def _count(records: list[Record], player: Player) -> None:
    """Count what Kafka has."""
    RECORDS.labels(player).inc(len(records))
    for whose, times in counted((record.mended for record in records), player).items():
        DEVIATIONS.labels(*whose).inc(times)


def _unreadable(readings: list[Reading]) -> CmcdUnreadable:
    unread = [reading for reading in readings if isinstance(reading, Unreadable)]
    named = [{"line": each.line, "reason": str(each.reason), "detail": each.detail} for each in unread[:NAMED]]
    first = unread[0].detail if unread else "the body is empty"
    return CmcdUnreadable(f"no record could be read: {first}", members={"unreadable": named})


routes = [Declared(PATH, collect, methods=list(METHODS), access=ACCESS)]
