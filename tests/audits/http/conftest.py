"""An audits API over an archive in a directory, whose Kafka and Postgres are away, and who may ask it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from audits.app import create_app
from events.types import AccountId
from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.archive.store import Archive
from infra.settings import Settings
from tests.audits.sql.archives import archive_of
from tests.builders import movie_published, playback_started, reported, session

NOBODY_LISTENS = 1
AUDITOR = Principal(subject="auditor-1", roles=("auditor",))
EDITOR = Principal(subject="editor-1", roles=("editor",))
OURS = session("session-1")
THEIRS = session("session-2", account_id=AccountId("account-2"))
EVENTS = [
    playback_started(OURS, territory="KR"),
    *(reported(seq=seq, of=OURS) for seq in range(1, 6)),
    playback_started(THEIRS),
    movie_published("heat"),
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        state_dir=tmp_path,
        kafka_bootstrap=f"127.0.0.1:{NOBODY_LISTENS}",
        postgres_dsn=f"postgresql://playhead@127.0.0.1:{NOBODY_LISTENS}/playhead",
        redis_url=f"redis://127.0.0.1:{NOBODY_LISTENS}/0",
        audits_source_timeout_s=1,
        audits_turn_wait_s=0.05,
        retry_after_s=7,
    )


@pytest.fixture
def archive(settings: Settings) -> Archive:
    return archive_of(settings.state_dir, EVENTS)


@pytest.fixture
def app(settings: Settings, archive: Archive) -> FastAPI:
    return create_app(settings)


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://audits") as client,
    ):
        yield client


@pytest.fixture
def auditor(stranger: httpx.AsyncClient, settings: Settings) -> httpx.AsyncClient:
    """The same client, as an auditor."""
    return signed_in(stranger, settings, AUDITOR)


def signed_in(client: httpx.AsyncClient, settings: Settings, who: Principal) -> httpx.AsyncClient:
    client.headers["Authorization"] = f"Bearer {Tokens(settings).mint_access(who)}"
    return client
