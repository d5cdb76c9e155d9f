"""How far a viewer has come in a series: SQL over playback_sessions, which is exact (folded once, in the same store).

A title is completed once a session ended as completed, or came to where the credits start, or where none are marked to
settings.complete_at_ratio of it (domain rule R5). A session in which less was watched than
settings.bookmark_min_watched_ms, or bookmark_min_watched_ratio of the title, does not move the viewer's place (R4).
What the viewer took out of their history is as if it had never been.
"""

from typing import Final

from infra.settings import Settings

SESSIONS: Final = """
    select p.title_id, p.position_ms, p.last_at, p.season_number, p.episode_number,
        p.exit_reason is not distinct from 'completed'
            or p.position_ms >= coalesce(played.credits_start_ms, p.duration_ms * $3::float8) as completed,
        p.watched_ms >= least($4::bigint, p.duration_ms * $5::float8) as counts, p.completion
    from playback_sessions as p left join catalog_titles as played on played.title_id = p.title_id
    where p.profile_id = $1 and p.series_id = $2 and p.removed_at is null
"""
"""A viewer's sessions in a series; its places $1 to $5 are bound by progress_values()."""

PROGRESS: Final = f"""
    select title_id, bool_or(completed) as completed, max(last_at) as watched_at, max(completion) as completion,
        (array_agg(position_ms order by counts or completed desc, last_at desc))[1] as position_ms
    from ({SESSIONS}) as session group by title_id
"""
"""A viewer's progress in each episode: the position is that of the latest session that counts, else of the latest; the
completion is the greatest share of it that was watched in a session.
"""

LATEST: Final = f"""
    select title_id, season_number, episode_number, completed from ({SESSIONS}) as session
    where counts or completed order by last_at desc limit 1
"""
"""The session that says where a viewer is in a series."""


def progress_values(settings: Settings, profile_id: str | None, series_id: str) -> tuple[object, ...]:
    """The values of $1 to $5. No profile has no sessions."""
    return (
        profile_id or "",
        series_id,
        settings.complete_at_ratio,
        settings.bookmark_min_watched_ms,
        settings.bookmark_min_watched_ratio,
    )
