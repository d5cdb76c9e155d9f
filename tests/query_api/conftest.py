"""A query API whose stores are all down, and tokens that it accepts."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.settings import Settings
from query_api.app import create_app

NOBODY_LISTENS = 1

VIEWER = Principal(subject="viewer", account_id="household-1", profile_id="viewer-1")
OPERATOR = Principal(subject="operations", roles=("operator",))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        state_dir=tmp_path,
        postgres_dsn=f"postgresql://playhead@127.0.0.1:{NOBODY_LISTENS}/playhead",
        cassandra_port=NOBODY_LISTENS,
        redis_url=f"redis://127.0.0.1:{NOBODY_LISTENS}/0",
        read_your_writes_wait_s=0.1,
        retry_after_s=7,
    )


@pytest.fixture
def tokens(settings: Settings) -> Tokens:
    return Tokens(settings)


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://query") as client,
    ):
        yield client


@pytest.fixture
def viewer(stranger: httpx.AsyncClient, tokens: Tokens) -> httpx.AsyncClient:
    """The same client, as the viewer viewer-1."""
    return signed_in(stranger, tokens, VIEWER)


@pytest.fixture
def operator(stranger: httpx.AsyncClient, tokens: Tokens) -> httpx.AsyncClient:
    """The same client, as an operator."""
    return signed_in(stranger, tokens, OPERATOR)


def signed_in(client: httpx.AsyncClient, tokens: Tokens, principal: Principal) -> httpx.AsyncClient:
    client.headers["Authorization"] = f"Bearer {tokens.mint_access(principal)}"
    return client
