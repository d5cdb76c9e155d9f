"""The commands process: what it serves, and what it opens to serve it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from fastapi import FastAPI

from commands.catalog import routes as catalog
from commands.dependencies import Resources
from commands.errors import PROBLEMS
from commands.handling import Handling
from commands.identity import routes as identity
from commands.identity.problems import PROBLEMS as IDENTITY_PROBLEMS
from commands.openapi import document_ingest
from commands.operations import routes as operations
from commands.operations import view_routes
from commands.operations.problems import PROBLEMS as OPERATIONS_PROBLEMS
from commands.payments import routes as payments
from commands.playback import collecting, reporting, watching_routes
from commands.playback import routes as playback
from commands.playback.backfill import routes as backfill
from commands.playback.cmcd.records import Bounds
from commands.playback.leases import Leases
from commands.playback.reports import Limits
from commands.playback.short_way import ShortWay
from commands.subscription import staff_routes as subscription
from commands.subscription.installation import Deciders
from commands.subscription.problems import PROBLEMS as SUBSCRIPTION_PROBLEMS
from commands.subscription.recording import Recording
from commands.subscription.viewing import Viewing
from commands.subscription.withdrawing import Withdrawals
from infra import redis
from infra.access.api_keys import ApiKeys
from infra.access.authentication import BearerAuthentication
from infra.access.revocations import Revocations
from infra.access.tokens import Tokens
from infra.clock import utc_now
from infra.event_log import EventLog
from infra.http import problems
from infra.http.gate import Gate
from infra.http.openapi import document_access, document_refusals, serve_document
from infra.http.perimeter import fence
from infra.http.rate_sharing import shared
from infra.http.server import serve
from infra.http.territory import Territories
from infra.person_keys import PersonKeys
from infra.postgres import Role, connect_pool
from infra.publisher import Publisher
from infra.settings import Settings
from infra.telemetry import UNUSED_TELEMETRY, probes


def create_app(settings: Settings) -> FastAPI:
    """The commands API."""
    app = FastAPI(
        title="Playhead commands",
        openapi_url=None,
        version="0.1.0",
        lifespan=lambda app: _lifespan(app, settings),
        telemetry=UNUSED_TELEMETRY,
    )
    tokens = Tokens(settings)
    app.state.tokens = tokens
    app.state.revocations = Revocations(settings)
    app.state.api_keys = ApiKeys(lambda: nullcontext(app.state.resources.pool), settings)
    app.state.authentication = BearerAuthentication(tokens, app.state.revocations, app.state.api_keys)
    app.add_middleware(Gate, routes=app)
    app.add_middleware(ShortWay, handlers=app.exception_handlers)
    app.state.limiter = fence(app, settings)
    problems.install(app, {**PROBLEMS, **SUBSCRIPTION_PROBLEMS, **IDENTITY_PROBLEMS, **OPERATIONS_PROBLEMS})
    app.router.routes.extend(reporting.routes)
    app.router.routes.extend(collecting.routes)
    app.include_router(playback.router)
    app.include_router(watching_routes.router)
    backfill.install(app, settings)
    app.include_router(catalog.router)
    app.include_router(operations.router)
    app.include_router(view_routes.router)
    identity.install(app, settings)
    subscription.install(app, settings)
    payments.install(app, settings)
    app.router.routes.extend(probes(lambda: _missing(app)))
    document_ingest(app)
    document_refusals(app)
    document_access(app)
    serve_document(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    pool = await connect_pool(settings, role=Role.COMMANDS)
    publisher = Publisher(settings)
    client = redis.connect(settings, is_timed=False)
    await publisher.start()
    handling = Handling(EventLog(pool, settings), utc_now)
    deciders: Deciders = app.state.subscription_deciders
    unapplied = settings.admission_unapplied_rows
    viewing = Viewing(handling, deciders=deciders, pool=pool, clock=utc_now, most_unapplied=unapplied)
    app.state.resources = Resources(
        settings=settings,
        limits=Limits.of(settings),
        cmcd_bounds=Bounds.of(settings),
        clock=utc_now,
        tokens=app.state.tokens,
        revocations=app.state.revocations,
        pool=pool,
        handling=handling,
        publisher=publisher,
        leases=Leases(client, settings),
        persons=PersonKeys(pool, app.state.master_key, kept=settings.personal_keys_kept),
        territories=Territories(settings),
        on_first_play=viewing.on_first_play,
        not_yet_seen=viewing.not_yet_seen,
    )
    recording = Recording(handling, deciders)
    app.state.on_payment_event = recording.on_webhook
    withdrawals = Withdrawals(handling, deciders)
    app.state.on_withdrawal = withdrawals.on_withdrawal
    rates = shared(app.state.limiter, settings, lambda: app.state.tokens.keys.internal)
    try:
        async with (
            app.state.revocations.polled(),
            app.state.tokens.issuers.kept(),
            app.state.api_keys.noted(),
            rates,
            identity.running(app, settings, pool),
        ):
            yield
    finally:
        await publisher.stop()
        await client.aclose()
        await pool.close()


async def _missing(app: FastAPI) -> dict[str, str]:
    opened: Resources = app.state.resources
    trouble = opened.publisher.trouble
    return {} if trouble is None else {"kafka": trouble}


def run(settings: Settings) -> None:
    """Serve the commands API until a signal."""
    serve(create_app(settings), settings, port=settings.commands_port)
