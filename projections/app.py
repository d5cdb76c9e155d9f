"""The projections: which views each store has, and the process that keeps them. One Faust app a store, so that a dead
store stops only its own views.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from infra.settings import Settings
from projections.catalog.catalog_schedule import CatalogSchedule
from projections.catalog.catalog_search import CatalogSearch
from projections.catalog.catalog_titles import CatalogTitles
from projections.catalog.catalog_windows import CatalogWindows
from projections.catalog.catalog_withdrawn import CatalogWithdrawn
from projections.identity.accounts import Accounts
from projections.identity.api_keys import ApiKeys
from projections.identity.devices import Devices
from projections.identity.profiles import Profiles
from projections.identity.revoked import RevokedSignIns, TokenLifetimes
from projections.identity.sign_ins import SignIns
from projections.operations.dead_letter_decisions import DeadLetterDecisions
from projections.operations.dead_letters import DeadLetters
from projections.operations.staff_actions import StaffActions
from projections.playback.completion import Thresholds
from projections.playback.continue_watching import ContinueWatching
from projections.playback.playback_sessions import PlaybackSessions
from projections.playback.profile_screen_time import ProfileScreenTimeByHour
from projections.playback.quality import quality_views
from projections.playback.session_cmcd import SessionCmcd
from projections.playback.session_timeline import SessionTimeline
from projections.playback.title_audience import TitleAudienceByHour
from projections.playback.title_profiles import TitleProfilesByDay
from projections.playback.title_retention import TitleRetentionByDay
from projections.playback.title_starts import TitleStartsByDay
from projections.playback.title_viewers import TitleViewers
from projections.playback.watch_history import WatchHistory
from projections.playback.watch_history_removed import RemovedFromHistory
from projections.store import Store
from projections.stores.cassandra import CassandraStore, CassandraView
from projections.stores.postgres import PostgresStore, PostgresView
from projections.stores.redis import RedisStore, RedisView
from projections.subscription.account_holdings import AccountHoldings
from projections.subscription.invoices import Invoices
from projections.subscription.plans import Plans
from projections.subscription.purchases import Purchases
from projections.subscription.subscription_due import SubscriptionsDue
from projections.subscription.subscription_history import SubscriptionHistory
from projections.subscription.subscriptions import Subscriptions
from projections.subscription.transactions import Transactions
from projections.versions.keeping import KeptByProjection
from projections.versions.registry import Elsewhere
from projections.views import View

DAY_S = 24 * 3600


def postgres_views(settings: Settings) -> tuple[PostgresView, ...]:
    """The views in Postgres."""
    return (
        PlaybackSessions(reorder_window=settings.reorder_window_events),
        *quality_views(minutes_kept_for=timedelta(days=settings.minutes_kept_days), hours_kept_for=hours(settings)),
        CatalogTitles(),
        CatalogWindows(),
        CatalogSearch(),
        CatalogSchedule(),
        DeadLetters(),
        StaffActions(),
        *audience_views(settings),
        ProfileScreenTimeByHour(kept_for=hours(settings)),
        DeadLetterDecisions(),
        *subscription_views(),
        *identity_views(),
    )


def audience_views(settings: Settings) -> tuple[PostgresView, ...]:
    """What is added up of playback sessions, by title."""
    return (
        TitleAudienceByHour(complete_at=settings.complete_at_ratio, kept_for=hours(settings)),
        TitleStartsByDay(),
        TitleRetentionByDay(complete_at=settings.complete_at_ratio),
        TitleProfilesByDay(),
    )


def subscription_views() -> tuple[PostgresView, ...]:
    """The views of subscriptions, payments and purchases."""
    return (
        Plans(),
        Subscriptions(),
        SubscriptionsDue(),
        Invoices(),
        Transactions(),
        Purchases(),
        SubscriptionHistory(),
    )


def identity_views() -> tuple[PostgresView, ...]:
    """The views of accounts, what is theirs, and API keys."""
    return (Accounts(), Profiles(), Devices(), SignIns(), ApiKeys())


def cassandra_views(settings: Settings) -> tuple[CassandraView, ...]:
    """The views in Cassandra."""
    return (SessionTimeline(), SessionCmcd(), WatchHistory(thresholds(settings)), RemovedFromHistory(), TitleViewers())


def redis_views(settings: Settings) -> tuple[RedisView, ...]:
    """The views in Redis."""
    ttl_s = settings.continue_watching_ttl_days * DAY_S
    return (
        ContinueWatching(thresholds(settings), most_rows=settings.continue_watching_max_rows, ttl_s=ttl_s),
        CatalogWithdrawn(most_rows=settings.withdrawn_titles_max, ttl_s=ttl_s),
        AccountHoldings(most_rows=settings.account_holdings_max, ttl_s=settings.account_holdings_ttl_days * DAY_S),
        RevokedSignIns(token_lifetimes(settings), most_rows=settings.revocations_max),
    )


def token_lifetimes(settings: Settings) -> TokenLifetimes:
    """How long tokens are good for; a PIN gives an access token too."""
    access_s = max(settings.access_token_ttl_s, settings.unlock_ttl_s)
    return TokenLifetimes(access_s=access_s, playback_s=settings.playback_token_ttl_s)


def hours(settings: Settings) -> timedelta:
    """How long rows of an hour are kept."""
    return timedelta(days=settings.hours_kept_days)


def thresholds(settings: Settings) -> Thresholds:
    """The thresholds that are configured."""
    return Thresholds(**{name: getattr(settings, name) for name in Thresholds.__struct_fields__})


class Projection(NamedTuple):
    """A store and its views."""

    store: Store[Any]
    views: tuple[View[Any], ...]


def postgres(settings: Settings) -> Projection:
    """Exact tables."""
    views = postgres_views(settings)
    elsewhere = {view.name: Elsewhere("cassandra", view.version) for view in cassandra_views(settings)}
    elsewhere |= {view.name: Elsewhere("redis", view.version) for view in redis_views(settings)}
    return Projection(PostgresStore(settings, views, KeptByProjection(views, elsewhere)), views)


def cassandra(settings: Settings) -> Projection:
    """Time series."""
    views = cassandra_views(settings)
    return Projection(CassandraStore(settings, views), views)


def redis(settings: Settings) -> Projection:
    """Hot views."""
    views = redis_views(settings)
    return Projection(RedisStore(settings, views), views)


STORES: dict[str, Callable[[Settings], Projection]] = {"postgres": postgres, "cassandra": cassandra, "redis": redis}


def run(store: str, settings: Settings) -> None:
    """Keep the views of a store ("postgres", "cassandra" or "redis") until SIGTERM or SIGINT. Blocks.

    Raises what ended it otherwise: whoever supervises the process starts it again.
    """
    from projections.worker import Worker, run_worker  # noqa: PLC0415 - Faust is for who runs one

    run_worker(lambda: Worker(*STORES[store](settings), settings), settings)
