"""What the identity context serves, on one screen: each line is a module of routes."""

from fastapi import APIRouter, FastAPI

from commands.identity.passwords import Passwords
from infra.personal_data import MasterKey
from infra.settings import Settings

ROUTERS: tuple[APIRouter, ...] = ()


def install(app: FastAPI, settings: Settings) -> None:
    """Serve the context's routes with the keys of an installation."""
    app.state.master_key = MasterKey.load(settings)
    app.state.passwords = Passwords(settings)
    for router in ROUTERS:
        app.include_router(router)
