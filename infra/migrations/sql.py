"""Runs a revision's SQL as one script: asyncpg prepares what alembic executes, and a prepared statement is only one."""

from typing import cast

from alembic import op
from sqlalchemy.engine.interfaces import AdaptedConnection


def run_script(sql: str) -> None:
    """Run statements, separated by semicolons, in the migration's transaction."""
    adapted = cast(AdaptedConnection, op.get_bind().connection.dbapi_connection)
    adapted.run_async(lambda connection: connection.execute(sql))
