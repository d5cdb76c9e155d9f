"""Sessions that are not over, as the view playback_sessions has them, and which of them nobody will end any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

import asyncpg

from events.playback import DeviceSnapshot, SessionSnapshot, TitleSnapshot
from events.types import AccountId, DeviceId, ProfileId, SeriesId, SessionId, TitleId, TitleKind
from infra.postgres import Pool
from infra.settings import Settings

Reason: TypeAlias = Literal["silent", "standing"]

DUE: Final = """
    select * from playback_sessions
    where exit_reason is null and (account_id, session_id) > ($1, $2)
      and case when offline then last_recorded_at <= $3
               else last_recorded_at <= $4 or last_recorded_at - moved_at >= $5 end
    order by account_id, session_id limit $6
"""
CENSUS: Final = """
    select count(*), min(last_recorded_at) filter (where not offline) from playback_sessions where exit_reason is null
"""
FIRST: Final = ("", "")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a session may be `silent` (no event) or `standing` (events, and its playhead stands), by our clock. Of a
    download, whose events come when its device is online again, `offline` counts alone: its token's life.
    """

    silent: timedelta
    standing: timedelta
    offline: timedelta

    @classmethod
    def of(cls, settings: Settings) -> "Patience":
        """The bounds that settings name."""
        return cls(
            silent=timedelta(seconds=settings.session_silent_s),
            standing=timedelta(seconds=settings.session_standing_s),
            offline=timedelta(days=settings.download_token_ttl_days),
        )


@dataclass(frozen=True, kw_only=True)
class Due:
    """An open session for which patience has run out, `at` that moment. It is the same whoever looks, and when."""

    session: SessionSnapshot
    reason: Reason
    at: datetime
    position_ms: int
    is_offline: bool = False


class Census(NamedTuple):
    """How many sessions are open, and when that of them was heard of which is silent for longest; downloads aside."""

    sessions: int
    silent_since: datetime | None


class OpenSessions(Protocol):
    """Where open sessions are found."""

    async def due(self, now: datetime, *, after: Due | None, limit: int) -> Sequence[Due]:
        """The next sessions for which patience has run out, by account and session."""

    async def census(self) -> Census:
        """What is open."""


class PostgresOpenSessions:
    """The view, which may be behind: whoever acts on it must know how far."""

    def __init__(self, pool: Pool, patience: Patience) -> None:
        self._pool = pool
        self._patience = patience

    async def due(self, now: datetime, *, after: Due | None, limit: int) -> Sequence[Due]:
        """See OpenSessions."""
        patience = self._patience
        place = (after.session.account_id, after.session.session_id) if after else FIRST
        since = (now - patience.offline, now - patience.silent, patience.standing)
        return [due_of(row, patience) for row in await self._pool.fetch(DUE, *place, *since, limit)]

    async def census(self) -> Census:
        """See OpenSessions."""
        row = await self._pool.fetchrow(CENSUS)
        return Census(0, None) if row is None else Census(*row)


def due_of(row: asyncpg.Record, patience: Patience) -> Due:
    """A row for which patience has run out. That it stands is told by its events alone: one came, so long after its
    playhead moved, and had not moved it.
    """
    heard_at, moved_at, offline = row["last_recorded_at"], row["moved_at"], row["offline"]
    stands = not offline and heard_at - moved_at >= patience.standing
    allowed = patience.offline if offline else patience.silent
    return Due(
        session=_session(row),
        reason="standing" if stands else "silent",
        at=moved_at + patience.standing if stands else heard_at + allowed,
        position_ms=row["position_ms"],
        is_offline=offline,
    )


def _session(row: asyncpg.Record) -> SessionSnapshot:
    return SessionSnapshot(
        session_id=SessionId(row["session_id"]),
        account_id=AccountId(row["account_id"]),
        profile_id=ProfileId(row["profile_id"]),
        started_at=row["started_at"],
        title=_title(row),
        device=DeviceSnapshot(
            device_id=DeviceId(row["device_id"]),
            type=row["device_type"],
            name=row["device_name"],
            platform=row["platform"],
            os=row["os"],
            model=row["model"],
            player=row["player"],
            player_version=row["player_version"],
            app_version=row["app_version"],
        ),
    )


def _title(row: asyncpg.Record) -> TitleSnapshot:
    series_id, next_title_id = row["series_id"], row["next_title_id"]
    return TitleSnapshot(
        title_id=TitleId(row["title_id"]),
        kind=TitleKind(row["title_kind"]),
        name=row["title_name"],
        duration_ms=row["duration_ms"],
        credits_start_ms=row["credits_start_ms"],
        series_id=None if series_id is None else SeriesId(series_id),
        series_name=row["series_name"],
        season_number=row["season_number"],
        episode_number=row["episode_number"],
        next_title_id=None if next_title_id is None else TitleId(next_title_id),
    )
