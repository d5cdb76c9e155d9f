"""The query API: what it serves, and how it refuses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI

from infra import cursors
from infra.access import authentication
from infra.access.api_keys import ApiKeys
from infra.access.authentication import BearerAuthentication
from infra.access.revocations import Revocations
from infra.access.tokens import Tokens
from infra.http import problems
from infra.http.gate import Gate
from infra.http.openapi import document_access, document_refusals, document_tags, serve_document
from infra.http.perimeter import fence
from infra.http.problems import Problems
from infra.http.rate_sharing import shared
from infra.http.representations import Representations
from infra.http.server import serve
from infra.personal_data import MasterKey
from infra.positions import BadPosition
from infra.settings import Settings
from infra.telemetry import UNUSED_TELEMETRY, probes
from query_api import (
    access,
    authorization,
    dead_letters,
    dependencies,
    read_your_writes,
    staff_actions,
    stores,
    view_requests,
    view_versions,
)
from query_api.audience import hotness, popular, retention, title_audience
from query_api.caching.reply_cache import ReplyCache
from query_api.caching.turns import Turns
from query_api.catalog import openings, search, series, titles, unknown
from query_api.identity import accounts, api_keys, devices, profiles
from query_api.identity import sessions as signed_in
from query_api.live import routes as live_routes
from query_api.live.places import STREAMS_FULL, TOO_MANY_STREAMS, StreamsFull, TooManyStreams
from query_api.live.routes import Live
from query_api.playback import (
    cmcd_gaps,
    continue_watching,
    export,
    quality,
    screen_time,
    session_timeline,
    sessions,
    streams,
    viewers,
    watch_history,
)
from query_api.playback.plain_requests import PlainRequests
from query_api.progress import ProgressReader
from query_api.projections import routes as projections
from query_api.sources import Sources
from query_api.subscription import entitlements, invoices, plans, subscription_history, subscriptions, transactions
from query_api.tables import formats

ROUTES: Final = (
    continue_watching.routes,
    watch_history.routes,
    export.routes,
    sessions.routes,
    session_timeline.routes,
    cmcd_gaps.routes,
    streams.routes,
    viewers.routes,
    title_audience.routes,
    retention.routes,
    hotness.routes,
    popular.routes,
    quality.routes,
    screen_time.routes,
    titles.routes,
    openings.routes,
    search.routes,
    series.routes,
    plans.routes,
    subscriptions.routes,
    subscription_history.routes,
    entitlements.routes,
    invoices.routes,
    transactions.routes,
    dead_letters.routes,
    projections,
    accounts.routes,
    profiles.routes,
    devices.routes,
    signed_in.routes,
    api_keys.routes,
    staff_actions.routes,
    view_versions.routes,
    view_requests.routes,
    live_routes.routes,
)

PROBLEMS: Final[Problems] = {
    **authentication.PROBLEMS,
    **cursors.PROBLEMS,
    **formats.PROBLEMS,
    BadPosition: dependencies.POSITION_INVALID,
    authorization.NotYourProfile: authorization.NOT_YOUR_PROFILE,
    authorization.SessionNotYours: authorization.SESSION_NOT_YOURS,
    sessions.SessionUnknown: sessions.SESSION_UNKNOWN,
    unknown.TitleUnknown: unknown.TITLE_UNKNOWN,
    quality.TooManyGroups: quality.TOO_MANY_GROUPS,
    dead_letters.DeadLetterUnknown: dead_letters.DEAD_LETTER_UNKNOWN,
    view_requests.ViewRequestUnknown: view_requests.VIEW_REQUEST_UNKNOWN,
    subscriptions.SubscriptionUnknown: subscriptions.SUBSCRIPTION_UNKNOWN,
    access.NotYourAccount: access.NOT_YOUR_ACCOUNT,
    accounts.AccountUnknown: accounts.ACCOUNT_UNKNOWN,
    read_your_writes.ViewBehind: read_your_writes.VIEW_BEHIND,
    stores.StoreUnavailable: stores.STORE_UNAVAILABLE,
    TooManyStreams: TOO_MANY_STREAMS,
    StreamsFull: STREAMS_FULL,
}


def create_app(settings: Settings) -> FastAPI:
    """The query API. It starts whether or not its stores are there, and /ready says which are missing."""
    tokens = Tokens(settings)
    revocations = Revocations(settings)
    sources = Sources.of(settings, cursors.Cursors(tokens.keys.internal_ring.values))
    progress = ProgressReader(sources, settings)
    live = Live(sources, progress, settings)
    known_keys = ApiKeys(sources.postgres.use, settings)

    @asynccontextmanager
    async def connected(_: FastAPI) -> AsyncIterator[None]:
        sources.open()
        async with (
            revocations.polled(),
            tokens.issuers.kept(),
            known_keys.noted(),
            shared(limiter, settings, lambda: tokens.keys.internal),
        ):
            yield
        await live.close()
        await progress.close()
        await sources.close()

    app = FastAPI(
        title="Playhead query API",
        summary="What viewers and dashboards ask for",
        openapi_url=None,
        lifespan=connected,
        telemetry=UNUSED_TELEMETRY,
    )
    app.state.settings = settings
    app.state.sources = sources
    app.state.progress = progress
    app.state.live = live
    app.state.master_key = MasterKey.load(settings)
    app.state.authentication = BearerAuthentication(tokens, revocations, known_keys)
    app.add_middleware(Gate, routes=app)
    app.add_middleware(
        ReplyCache,
        routes=app,
        places=sources.postgres_places,
        turns=Turns(sources.postgres, settings),
        settings=settings,
    )
    app.add_middleware(PlainRequests, sources=sources, settings=settings)
    app.add_middleware(Representations, settings=settings)
    limiter = fence(app, settings)
    for routes in ROUTES:
        app.include_router(routes)
    app.router.routes.extend(probes(sources.missing))
    problems.install(app, PROBLEMS)
    document_refusals(app)
    document_access(app)
    document_tags(app)
    serve_document(app)
    return app


def run(settings: Settings) -> None:
    """Serve the query API until a signal."""
    serve(create_app(settings), settings, port=settings.query_port)
