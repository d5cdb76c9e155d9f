"""What playback needs to know of a title when it starts: read from the catalog's read model, so it may be a moment
old.
"""

from commands.playback.refusals import TitleNotPlayable, TitleUnknown
from events.playback import TitleSnapshot
from events.types import SeriesId, TitleId, TitleKind
from infra.postgres import Pool

PLAYABLE = frozenset(kind.value for kind in TitleKind)

TITLE = """
select title_id, kind, name, duration_ms, credits_start_ms, series_id, series_name, season_number, episode_number, (
    select next.title_id from catalog_titles as next
    where next.series_id = title.series_id and next.kind = 'episode' and next.status = 'published'
      and (next.season_number, next.episode_number) > (title.season_number, title.episode_number)
    order by next.season_number, next.episode_number limit 1
) as next_title_id
from catalog_titles as title where title_id = $1 and status = 'published'
"""


async def title_snapshot(pool: Pool, title_id: TitleId) -> TitleSnapshot:
    """The title as the catalog has it. Raises TitleUnknown, TitleNotPlayable."""
    row = await pool.fetchrow(TITLE, title_id)
    if row is None:
        raise TitleUnknown(f"no title {title_id} was published (a new one is visible after a moment)")
    if row["kind"] not in PLAYABLE:
        raise TitleNotPlayable(f"{title_id} is a {row['kind']}: start one of its episodes")
    return TitleSnapshot(
        title_id=row["title_id"],
        kind=TitleKind(row["kind"]),
        name=row["name"],
        duration_ms=row["duration_ms"],
        credits_start_ms=row["credits_start_ms"],
        series_id=SeriesId(row["series_id"]) if row["series_id"] else None,
        series_name=row["series_name"],
        season_number=row["season_number"],
        episode_number=row["episode_number"],
        next_title_id=row["next_title_id"],
    )
