"""Viewers as the benchmarks simulate them: their sessions, their reports, and the requests that carry these."""

import gzip
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from commands.playback.grants import Grant
from commands.playback.reports import ReportBody
from events.playback import AnyReport, Heartbeat, SessionSnapshot
from events.types import AccountId, ProfileId, SessionId
from infra.access.tokens import Tokens
from infra.settings import Settings
from tests import builders

PATH = "/v1/playback/sessions/{}/events"
MAX_STREAMS = 4
HEALTH: dict[str, Any] = {"bitrate_kbps": 4_500, "buffer_ms": 24_000, "dropped_frames": 0}


@lru_cache(maxsize=10_000)
def session(number: int) -> SessionSnapshot:
    """The session of a number: an episode on a television, ids as long as real ones."""
    return builders.session(
        SessionId(str(UUID(int=number))),
        account_id=AccountId(str(UUID(int=2**64 + number))),
        profile_id=ProfileId(str(UUID(int=2**65 + number))),
        title=builders.episode(1 + number % 8, series_id=str(UUID(int=2**66))),
        device=builders.device(str(UUID(int=2**67 + number)), platform="webos", player="hls.js"),
    )


def number_of(session_id: str) -> int:
    """The number that a session was made of."""
    return UUID(session_id).int


def heartbeat(seq: int, at: datetime, position_ms: int | None = None) -> AnyReport:
    """A heartbeat as players send them."""
    position = 1_000 * seq if position_ms is None else position_ms
    return Heartbeat(seq=seq, at=at, position_ms=position, **HEALTH)


def tokens_of(settings: Settings, sessions: list[SessionSnapshot], expires_at: datetime) -> list[str]:
    """A playback token for each session."""
    tokens = Tokens(settings)
    return [tokens.mint_playback(Grant(session=each, max_streams=MAX_STREAMS), expires_at) for each in sessions]


def report_request(
    of: SessionSnapshot, token: str, events: list[AnyReport], sent_at: datetime, *, is_gzip: bool = False
) -> bytes:
    """The whole HTTP request of a report."""
    body = msgspec.json.encode(ReportBody(sent_at, events))
    if is_gzip:
        return post(PATH.format(of.session_id), token, gzip.compress(body), more="Content-Encoding: gzip\r\n")
    return post(PATH.format(of.session_id), token, body)


def reports(
    sessions: list[SessionSnapshot],
    tokens: list[str],
    size: int,
    count: int,
    now: datetime,
    *,
    is_gzip: bool = False,
    since: int = 0,
) -> list[bytes]:
    """Reports of `size` heartbeats from all sessions in turn, `since` a seq."""
    requests = []
    for number in range(count):
        who, first = number % len(sessions), since + number // len(sessions) * size
        events = [heartbeat(first + n, now - timedelta(seconds=size - n)) for n in range(size)]
        requests.append(report_request(sessions[who], tokens[who], events, now, is_gzip=is_gzip))
    return requests


def post(path: str, token: str, body: bytes, *, more: str = "") -> bytes:
    """A POST as it goes over the wire. `more`: whole lines of headers."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(path: str, token: str) -> bytes:
    """A GET as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
