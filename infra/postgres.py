"""Postgres connections: pools for the processes, and the migrations (alembic with raw SQL)."""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TypeAlias

import asyncpg

from infra.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations" / "postgres"

# Strings: only the stubs know these classes as generic.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Role(StrEnum):
    """What a process may do in Postgres (migration 0010)."""

    COMMANDS = "playhead_commands"
    QUERY = "playhead_query"
    RELAY = "playhead_relay"
    """Of what else moves events, `playhead backfill`, too."""
    PROJECTIONS = "playhead_projections"
    BILLING = "playhead_billing"
    """Of the scheduler too."""
    REAPER = "playhead_reaper"
    """It reads; what it has to say goes to Kafka."""
    AUDITS = "playhead_audits"
    """Of whoever asks the history: it reads, and nothing that signs anybody in."""


async def connect_pool(
    settings: Settings, *, role: Role | None = None, size: int | None = None, synchronous_commit: bool = True
) -> Pool:
    """A pool that connects when it is first used, so that a process starts while Postgres is away.

    Its connections take the role, whoever the DSN names: that one must be a member of it. None: they stay who they are.

    Without synchronous_commit a crash of Postgres may lose the last commits, each wholly: only for what is redone.

    Nobody may leave anything in a session but its transaction, which is rolled back if it was left open: setting back
    all else each time that a connection is returned would cost every read and every command a round trip.
    """
    return await asyncpg.create_pool(
        settings.postgres_dsn,
        password=_password(settings),
        min_size=0,
        max_size=size or settings.postgres_pool_max,
        command_timeout=settings.query_timeout_s,
        reset=_leave_as_it_is,
        server_settings={
            "application_name": "playhead",
            "jit": "off",
            **({} if role is None else {"role": role.value}),
            **({} if synchronous_commit else {"synchronous_commit": "off"}),
        },
    )


async def connect(settings: Settings) -> Connection:
    """One connection, of whoever the DSN names."""
    return await asyncpg.connect(settings.postgres_dsn, password=_password(settings))


def _password(settings: Settings) -> Callable[[], str] | None:
    """What asyncpg asks for the password each time that it connects; None when the DSN has it, or there is none."""
    return None if settings.postgres_secret() is None else lambda: settings.postgres_secret() or ""


async def _leave_as_it_is(_: object) -> None:
    pass


async def migrate(settings: Settings, *, revision: str = "head") -> None:
    """Bring the database to the newest revision, or to another one. Raises alembic's CommandError for one that this
    release does not know. Two that run at once take turns (an advisory lock in env.py)."""
    from alembic import command  # noqa: PLC0415 - with SQLAlchemy, a tenth of a process' memory
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connect"] = partial(connect, settings)
    await asyncio.to_thread(command.upgrade, config, revision)
