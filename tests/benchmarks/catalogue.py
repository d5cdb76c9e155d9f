"""What the reads are measured on: series of episodes and accounts that subscribed, as their projections keep them."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import msgspec

from events.subscription import PlanLimits, PlanTerms
from events.titles import Credit, EpisodePlace, Image, LocalizedText
from events.types import AccountId, Money, PlanId, SeriesId, TitleId
from infra.postgres import Pool
from projections.catalog.catalog_titles import CatalogTitles
from projections.stores.tables import Table
from projections.subscription.purchases import Purchase, Purchases
from projections.subscription.subscriptions import Subscription, Subscriptions
from projections.views import KeyedView
from tests import builders
from tests.benchmarks.bench import Advance

EPISODES = 50
PURCHASES = 3
BATCH_ROWS = 1_000
DAY = timedelta(days=1)
TITLES = CatalogTitles()
TERMS = PlanTerms(
    plan_id=PlanId("standard"),
    version=1,
    name="Standard",
    period="month",
    price=Money(1090, "EUR"),
    trial_days=14,
    limits=PlanLimits(streams=2, max_resolution="1080p", profiles=5, downloads=10, ads=False),
)
SYNOPSIS = {
    "en": "The tide goes out further than anyone in Harbour remembers, and what it leaves behind has a name on it.",
    "ko": "항구 사람들이 기억하는 것보다 더 멀리 물이 빠지고, 남겨진 것에는 누군가의 이름이 적혀 있다.",
}
PEOPLE = tuple(Credit(f"p-{n}", f"Kim Ji-woo {n}", "actor", f"Character {n}", n) for n in range(8))
IMAGES = tuple(Image(kind, f"images/harbour/{kind}.jpg", 1280, 720) for kind in ("poster", "still", "banner"))


async def write(pool: Pool, view: KeyedView[Any, str], rows: Iterable[msgspec.Struct], advance: Advance) -> None:
    """Write rows as a projection does."""
    table, waiting = Table(view), iter(rows)
    while batch := list(islice(waiting, BATCH_ROWS)):
        await pool.execute(table.upsert, *table.columns_of(batch))
        advance(len(batch))


def title_ids(count: int) -> list[str]:
    """The ids of episodes, EPISODES a series."""
    return [f"bench-{number // EPISODES}-s1e{1 + number % EPISODES}" for number in range(count)]


def titles(count: int) -> Iterator[msgspec.Struct]:
    """So many episodes, and their series."""
    for number in range(0, count, EPISODES):
        series_id = f"bench-{number // EPISODES}"
        yield _row(builders.series_published(series_id, **_details(f"Harbour {number}", episode=False)))
    for number, title_id in enumerate(title_ids(count)):
        place = EpisodePlace(SeriesId(f"bench-{number // EPISODES}"), "Harbour", 1, 1 + number % EPISODES)
        published = builders.episode_published(1, **_details(f"Episode {number}", episode=True))
        event = msgspec.structs.replace(published.data, title_id=TitleId(title_id), place=place)
        yield _row(msgspec.structs.replace(published, data=event))


def _details(name: str, *, episode: bool) -> dict[str, Any]:
    texts = tuple(LocalizedText(locale, f"{name} ({locale})", synopsis) for locale, synopsis in SYNOPSIS.items())
    credits_and_pictures = {"people": PEOPLE, "images": IMAGES} if episode else {"images": IMAGES}
    return {"name": name, "texts": texts, "genres": ("drama", "mystery"), "release_year": 2026, **credits_and_pictures}


def _row(published: Any) -> msgspec.Struct:
    row = TITLES.project(None, builders.recorded(published))
    assert row is not None
    return row


def account_ids(count: int) -> list[AccountId]:
    """The ids of accounts."""
    return [AccountId(f"bench-account-{number}") for number in range(count)]


def subscriptions(count: int, now: datetime) -> Iterator[Subscription]:
    """Of each account one, in its first period."""
    for account_id in account_ids(count):
        yield Subscription(
            account_id=account_id,
            subscription_id=f"s-{account_id}",
            status="active",
            terms=TERMS,
            time_zone="Europe/Amsterdam",
            started_at=now - 10 * DAY,
            period_number=1,
            period_starts_at=now - 10 * DAY,
            paid_through=now + 20 * DAY,
            grace_until=now + 27 * DAY,
            expires_at=now + 57 * DAY,
            updated_at=now,
        )


def purchases(count: int, now: datetime) -> Iterator[Purchase]:
    """Of every account PURCHASES that may be watched."""
    for account_id in account_ids(count):
        for number in range(PURCHASES):
            yield Purchase(
                purchase_id=f"p-{account_id}-{number}",
                account_id=account_id,
                offer_id="offer",
                kind="purchase",
                title_id=f"bench-0-s1e{1 + number}",
                title_name="Harbour",
                currency="EUR",
                price_minor=399,
                status="granted",
                purchased_at=now - DAY,
                access_from=now - DAY,
            )


VIEWS: dict[str, KeyedView[Any, str]] = {"titles": TITLES, "subscriptions": Subscriptions(), "purchases": Purchases()}
