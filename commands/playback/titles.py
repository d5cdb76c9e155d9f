"""What playback needs to know of a title when it starts: read from the catalog's read model, so it may be a moment
old.
"""

from typing import Final, NamedTuple

from commands.playback.refusals import TitleNotPlayable, TitleUnknown
from events.playback import TitleSnapshot
from events.types import SeriesId, TitleId, TitleKind
from infra.postgres import Pool

PLAYABLE = frozenset(kind.value for kind in TitleKind)

TITLE: Final = """
select title_id, kind, name, duration_ms, credits_start_ms, series_id, series_name, season_number, episode_number,
    minimum_age,
    coalesce((
        select next.title_id from catalog_titles as next
        where next.series_id = title.series_id and next.kind = 'episode' and next.status = 'published'
          and (next.season_number, next.episode_number) > (title.season_number, title.episode_number)
        order by next.season_number, next.episode_number limit 1
    ), (
        select case when said.kind = 'series' then (
            select first.title_id from catalog_titles as first
            where first.series_id = said.title_id and first.kind = 'episode' and first.status = 'published'
              and first.season_number > 0
            order by first.season_number, first.episode_number limit 1
        ) else said.title_id end
        from catalog_titles as said
        where said.status = 'published' and said.title_id = coalesce(
            title.next_title_id, (select series.next_title_id from catalog_titles as series
                                  where series.title_id = title.series_id)
        )
    )) as next_title_id
from catalog_titles as title where title_id = $1 and status = 'published'
"""
"""The next title is the next episode by number; after the last, and after a film, what an editor said (ADR 7)."""


class RatedTitle(NamedTuple):
    """A title, and for which age it was rated; None: nobody rated it."""

    snapshot: TitleSnapshot
    minimum_age: int | None

    def is_within(self, maturity_limit: int | None) -> bool:
        """Whether a profile of this limit (None: it has none) may play it. What nobody rated may be anything, so it is
        above every limit."""
        return maturity_limit is None or (self.minimum_age is not None and self.minimum_age <= maturity_limit)


async def rated_title(pool: Pool, title_id: TitleId) -> RatedTitle:
    """The title as the catalog has it. Raises TitleUnknown, TitleNotPlayable."""
    row = await pool.fetchrow(TITLE, title_id)
    if row is None:
        raise TitleUnknown(f"no title {title_id} was published (a new one is visible after a moment)")
    if row["kind"] not in PLAYABLE:
        raise TitleNotPlayable(f"{title_id} is a {row['kind']}, which is not played itself: start an episode or a film")
    snapshot = TitleSnapshot(
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
    return RatedTitle(snapshot, row["minimum_age"])
