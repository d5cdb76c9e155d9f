"""What the identity context serves, on one screen: each line is a module of routes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from commands.identity import (
    account_routes,
    api_key_routes,
    device_routes,
    email_changes,
    erasing,
    password_resets,
    profile_routes,
    registrations,
    session_routes,
    sign_in_routes,
    staff_routes,
)
from commands.identity.emails.outbox import Outbox
from commands.identity.emails.rounds import OutboxRounds
from commands.identity.oauth import device_code_routes
from commands.identity.oauth import routes as oauth_routes
from commands.identity.passwords import Passwords
from commands.identity.throttling import Throttle
from infra import redis
from infra.background import beside
from infra.mail.adapters import mailer_of
from infra.personal_data import MasterKey
from infra.postgres import Pool
from infra.settings import Settings

ROUTERS: tuple[APIRouter, ...] = (
    registrations.router,
    sign_in_routes.router,
    password_resets.router,
    account_routes.router,
    email_changes.accounts,
    email_changes.changes,
    staff_routes.router,
    erasing.router,
    profile_routes.router,
    device_routes.router,
    api_key_routes.router,
    oauth_routes.router,
    device_code_routes.router,
    session_routes.router,
)


def install(app: FastAPI, settings: Settings) -> None:
    """Serve the context's routes with the keys of an installation."""
    app.state.master_key = MasterKey.load(settings)
    app.state.passwords = Passwords(settings)
    app.state.throttle = Throttle(redis.connect(settings), app.state.master_key, settings)
    for router in ROUTERS:
        app.include_router(router)


@asynccontextmanager
async def running(app: FastAPI, settings: Settings, pool: Pool) -> AsyncIterator[None]:
    """What the context does beside its routes: it sends mail, and drops what has expired."""
    rounds = OutboxRounds(Outbox(pool, app.state.master_key, mailer_of(settings), settings), settings)
    try:
        async with beside(rounds.run()):
            yield
    finally:
        await app.state.throttle.aclose()
