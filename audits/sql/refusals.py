"""How a query is refused, each in words that say what to do about it."""

import re
from typing import Final

import duckdb

from infra.settings import Settings

RAISED: Final = re.compile(r"^(?:\w+\.)*(\w+: .*)$", re.MULTILINE)
"""The last line of a traceback."""


class QueryRefused(Exception):
    """The query is not answered; the message is meant for who asked it."""


class NotRead(QueryRefused):
    """It is not one statement that reads."""


class NotUnderstood(QueryRefused):
    """DuckDB cannot read it, or finds no table, column or function of a name in it; the message shows where."""


class OutOfReach(QueryRefused):
    """It asks for what is not in the archive: a file, a server, an extension."""


class TooLong(QueryRefused):
    """It was not answered in time."""


class TooMuchMemory(QueryRefused):
    """It needs more memory than it may have."""


class TooManyRows(QueryRefused):
    """It has more rows than are shown at once."""


class NotAnswered(QueryRefused):
    """It failed while it was answered: a value that cannot be cast, or a file that cannot be read."""


def refusal_of(error: duckdb.Error, settings: Settings) -> QueryRefused:
    """What DuckDB's error means for who asked."""
    match error:
        case duckdb.ParserException() | duckdb.BinderException() | duckdb.CatalogException():
            return NotUnderstood(str(error))
        case duckdb.PermissionException():
            return OutOfReach(f"A query reads the archive and nothing else. {error}")
        case duckdb.InterruptException():
            return too_long(settings)
        case duckdb.OutOfMemoryException():
            return TooMuchMemory(
                f"The query needs more than {settings.audit_query_memory_mb} MB. Name days in it, group by less, or "
                "raise PLAYHEAD_AUDIT_QUERY_MEMORY_MB."
            )
        case _:
            return NotAnswered(_told(str(error)))


def too_long(settings: Settings) -> TooLong:
    """The refusal of a query that took its time."""
    return TooLong(
        f"The query was not answered within {settings.audit_query_timeout_s:g} s. Name days in it, so that fewer files "
        "are read (--explain shows how many), or raise PLAYHEAD_AUDIT_QUERY_TIMEOUT_S."
    )


def _told(message: str) -> str:
    """Of an error that came out of Python, through DuckDB, the error alone."""
    if not message.startswith("Traceback"):
        return message
    raised = RAISED.findall(message)
    return f"The archive could not be read: {raised[-1] if raised else message.splitlines()[-1]}"
