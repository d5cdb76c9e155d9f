"""Alembic's entry: raw SQL revisions over asyncpg, one process at a time."""

import asyncio

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

ADVISORY_LOCK = 0x706C6179  # "play": any constant that nothing else in this database locks


def upgrade(connection: Connection) -> None:
    """Run what is missing in one transaction, while holding the lock."""
    context.configure(connection=connection)
    with context.begin_transaction():
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        context.run_migrations()


async def connect_and_upgrade() -> None:
    """Open the database named by `playhead migrate` and upgrade it."""
    # Our own connection: SQLAlchemy would not pass on all that a DSN may say, such as sslmode.
    connect = context.config.attributes["connect"]
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(upgrade)
        await connection.commit()
    await engine.dispose()


asyncio.run(connect_and_upgrade())
