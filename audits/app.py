"""The audits API: what auditors ask of the whole history over HTTP, and how it refuses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI, Request
from starlette.responses import Response

from audits.http import as_of, certificates, checkpoints, history
from audits.http.asking import Auditing, Gone
from audits.http.problems import PROBLEMS as OF_QUESTIONS
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
from infra.postgres import Pool, Role, connect_pool
from infra.settings import Settings
from infra.telemetry import UNUSED_TELEMETRY, probes
from query_api import stores
from query_api.drivers import POSTGRES_FAILURES
from query_api.stores import Driver, Store
from query_api.tables import formats

ROUTES: Final = (
    history.routes,
    as_of.routes,
    checkpoints.routes,
    certificates.routes,
)

PROBLEMS: Final[Problems] = {
    **authentication.PROBLEMS,
    **cursors.PROBLEMS,
    **formats.PROBLEMS,
    **OF_QUESTIONS,
    stores.StoreUnavailable: stores.STORE_UNAVAILABLE,
}


def create_app(settings: Settings) -> FastAPI:
    """The audits API. It starts whether or not its sources are there; /ready says whether Postgres is, without which
    nobody's API key is known.
    """
    tokens = Tokens(settings)
    revocations = Revocations(settings)
    postgres = Store(_postgres(settings), settings)
    known_keys = ApiKeys(postgres.use, settings)
    auditing = Auditing(settings)

    @asynccontextmanager
    async def connected(_: FastAPI) -> AsyncIterator[None]:
        postgres.open()
        async with (
            revocations.polled(),
            tokens.issuers.kept(),
            shared(limiter, settings, lambda: tokens.keys.internal),
        ):
            yield
        await auditing.close()
        await postgres.close()

    async def missing() -> dict[str, str]:
        reason = await postgres.missing()
        return {} if reason is None else {postgres.name: reason}

    app = FastAPI(
        title="Playhead audits API",
        summary="What auditors ask of the whole history",
        openapi_url=None,
        lifespan=connected,
        telemetry=UNUSED_TELEMETRY,
    )
    app.state.settings = settings
    app.state.auditing = auditing
    app.state.authentication = BearerAuthentication(tokens, revocations, known_keys)
    app.add_middleware(Gate, routes=app)
    app.add_middleware(Representations, settings=settings)
    limiter = fence(app, settings)
    for routes in ROUTES:
        app.include_router(routes)
    app.router.routes.extend(probes(missing))
    problems.install(app, PROBLEMS)
    app.add_exception_handler(Gone, _nobody)
    document_refusals(app)
    document_access(app)
    document_tags(app)
    serve_document(app)
    return app


def _postgres(settings: Settings) -> Driver[Pool]:
    """Where API keys are known, in the role that reads alone: when a key was used last is not noted here."""
    return Driver(
        "postgres",
        connect=lambda: connect_pool(settings, role=Role.AUDITS, size=settings.audits_max_concurrency),
        ping=lambda pool: pool.fetchval("select count(*) from partition_head"),
        close=lambda pool: pool.close(),
        failures=POSTGRES_FAILURES,
    )


async def _nobody(_: Request, __: Exception) -> Response:
    return Response(status_code=499)


def run(settings: Settings) -> None:
    """Serve the audits API until a signal."""
    serve(create_app(settings), settings, port=settings.audits_port)
