"""What a start is decided from: the title, its windows in the viewer's territory, the account's subscription and its
purchase of the title. Read models, so as of a moment ago; one statement, since a viewer waits for it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from events.playback import TitleSnapshot
from events.types import AccountId, Licence, PurchaseId, SeriesId, TitleId, TitleKind
from infra.entitlement import (
    NOTHING,
    PURCHASE_USABLE,
    Held,
    Moments,
    Status,
    UsablePurchase,
    is_within,
    limits_of,
    standing_at,
)
from infra.postgres import Pool

PLAYABLE: Final = frozenset(kind.value for kind in TitleKind)

NEXT_TITLE: Final = """
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
    ))
"""
"""The next title is the next episode by number; after the last, and after a film, what an editor said (ADR 7)."""

FACTS: Final = f"""
select title.title_id, title.kind, title.name, title.duration_ms, title.credits_start_ms, title.series_id,
    title.series_name, title.season_number, title.episode_number, title.minimum_age,
    {NEXT_TITLE} as next_title_id,
    array(
        select distinct w.licence from catalog_windows as w
        where w.title_id = title.title_id and w.territory = $2 and w.opens_at <= $3 and w.closes_at > $3
    ) as licences,
    (
        select min(w.opens_at) from catalog_windows as w
        where w.title_id = title.title_id and w.territory = $2 and w.opens_at > $3
    ) as opens_at,
    s.status, s.pending_until, s.paid_through, s.grace_until, s.expires_at, s.paused_at, s.resumes_at, s.ends_at,
    s.terms, owned.purchase_id, owned.is_unstarted
from catalog_titles as title
left join subscriptions as s on s.account_id = $4
left join lateral (
    select purchase_id, kind = 'rental' and started_at is null as is_unstarted from subscription_purchases
    where account_id = $4 and title_id in (title.title_id, title.series_id) and {PURCHASE_USABLE.format(now="$3")}
    order by is_unstarted, purchase_id limit 1
) as owned on true
where title.title_id = $1 and title.status = 'published'
"""
"""Title, territory, now, account. A series that was bought is all of its episodes; what was begun is used up first."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a title and an account at a time. `minimum_age`: None: nobody rated it. `licences`: of the
    windows that are open in the territory; `opens_at`: when the next one does, if any. `held`: what may entitle the
    account; `status`: of its subscription, if it ever had one.
    """

    title: TitleSnapshot
    minimum_age: int | None = None
    licences: frozenset[Licence] = frozenset()
    opens_at: datetime | None = None
    status: Status | None = None
    held: Held = NOTHING

    def is_within(self, maturity_limit: int | None) -> bool:
        """Whether a profile of this limit (None: it has none) may play it."""
        return is_within(self.minimum_age, maturity_limit)


class GroupOfTitles(NamedTuple):
    """A title that is published and not played itself."""

    kind: str


async def facts_of(
    pool: Pool, title_id: TitleId, *, territory: str | None, now: datetime, account_id: AccountId
) -> Facts | GroupOfTitles | None:
    """What the read models hold; None: no such title was published."""
    row = await pool.fetchrow(FACTS, title_id, territory, now, account_id)
    if row is None:
        return None
    return _facts(row, now) if row["kind"] in PLAYABLE else GroupOfTitles(row["kind"])


def _facts(row: asyncpg.Record, now: datetime) -> Facts:
    standing = standing_at(Moments.of(row), now) if row["status"] else None
    return Facts(
        title=_snapshot(row),
        minimum_age=row["minimum_age"],
        licences=frozenset(map(Licence, row["licences"])),
        opens_at=row["opens_at"],
        status=standing.status if standing else None,
        held=Held(
            limits_of(row) if standing and standing.access else None,
            UsablePurchase(PurchaseId(row["purchase_id"]), row["is_unstarted"]) if row["purchase_id"] else None,
        ),
    )


def _snapshot(row: asyncpg.Record) -> TitleSnapshot:
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
