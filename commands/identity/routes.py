"""What the identity context serves, on one screen: each line is a module of routes."""

from fastapi import APIRouter, FastAPI

from infra.personal_data import MasterKey
from infra.settings import Settings

ROUTERS: tuple[APIRouter, ...] = ()


def install(app: FastAPI, settings: Settings) -> None:
    """Serve the context's routes with the keys of an installation."""
    app.state.master_key = MasterKey.load(settings)
    for router in ROUTERS:
        app.include_router(router)
