"""What `playhead dead-letters` does, on the log and the views in Postgres; a bar for many where there is a terminal."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, TypeAlias

import asyncpg
import msgspec
from rich.progress import track

from commands.handling import Handling, Terms
from commands.operations.letters import Decided, Letters, Which
from events.envelope import UNKNOWN_ADDRESS, Context
from infra.clock import utc_now
from infra.event_log import EventLog
from infra.ids import new_id
from infra.postgres import Role, connect_pool
from infra.settings import Settings
from playhead.console import fail, out, say

PRINCIPAL: Final = "command-line"
SERVERS_AWAY: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
LISTED: Final = "select letter_id, dead_letters.reason, attempt, detail from dead_letters where letter_id = any($1)"
SHOWN: Final = """
    select dead_letters.*, decided.retries, decided.is_discarded, decided.decided_at, decided.decided_by,
           decided.reason as decision_reason
    from dead_letters left join operations_dead_letter_decisions as decided using (letter_id) where letter_id = $1
"""
DETAIL_CHARS: Final = 160

Filter: TypeAlias = tuple[str | None, str | None, str | None]
"""Projection, topic, and why a letter was set aside."""


def run_list(settings: Settings, which: Filter, limit: int) -> int:
    """Print open letters; the exit status."""

    async def listed(letters: Letters) -> int:
        ids = await letters.open(Which(*which), limit)
        rows = {row["letter_id"]: row for row in await letters.pool.fetch(LISTED, ids)}
        for letter_id in ids:
            row = rows[letter_id]
            again = f", failed {row['attempt']} retries" if row["attempt"] else ""
            say(f"{letter_id}  {row['reason']}{again}: {row['detail'][:DETAIL_CHARS]}")
        say(f"{len(ids)} open" + (f" (there may be more than {limit}: --limit)" if len(ids) == limit else ""))
        return 0

    return _run(settings, listed)


def run_show(settings: Settings, letter_id: str) -> int:
    """Print a letter; the exit status."""

    async def shown(letters: Letters) -> int:
        row = await letters.pool.fetchrow(SHOWN, letter_id)
        if row is None:
            return fail(
                f"There is no dead letter {letter_id}; playhead dead-letters list names those that are open."
            ).exit_code
        for name in ("letter_id", "recorded_at", "reason", "detail", "attempt", "applied_at"):
            say(f"{name}: {row[name]}")
        say(f"views: {', '.join(msgspec.json.decode(row['views'])) or 'all'}")
        if row["decided_at"] is not None:
            what = "discarded" if row["is_discarded"] else f"retry {row['retries']}"
            why = row["decision_reason"] or "no reason"
            say(f"decided: {what}, by {row['decided_by']} at {row['decided_at']}: {why}")
        for name, value in msgspec.json.decode(row["headers"], type=tuple[tuple[str, bytes], ...]):
            say(f"header {name}: {value.decode(errors='replace')}")
        say(row["body"].decode(errors="replace"))
        return 0

    return _run(settings, shown)


class Asked(NamedTuple):
    """What is to be decided: of the letters named, or of the open ones that fit."""

    letter_ids: Sequence[str]
    which: Filter
    limit: int
    reason: str | None = None
    force: bool = False
    discards: bool = False


def run_decide(settings: Settings, asked: Asked) -> int:
    """Have letters tried again, or discarded; the exit status is 1 when one was refused."""
    letter_ids, which = asked.letter_ids, asked.which
    if letter_ids and any(which):
        return fail("Name letters, or say which by --projection, --topic and --set-aside-for; not both.").exit_code
    if not letter_ids and not any(which):
        return fail("Name letters, or say which by --projection, --topic or --set-aside-for.").exit_code

    async def decided(letters: Letters) -> int:
        ids = list(letter_ids) or list(await letters.open(Which(*which), asked.limit))
        context = Context(
            correlation_id=f"dead-letters-{new_id()}", principal=PRINCIPAL, client_address=UNKNOWN_ADDRESS
        )
        told = [
            await _one(letters, each, Terms(context), asked)
            for each in track(ids, console=out, disable=not out.is_terminal, transient=True, description="deciding")
        ]
        refused = [one for one in told if one.refusal is not None]
        recorded = sum(one.outcome is not None and bool(one.outcome.recorded) for one in told)
        what = "discarded" if asked.discards else "to be tried again"
        say(f"{recorded} {what}, {len(told) - recorded - len(refused)} were so already, {len(refused)} refused")
        for one in refused:
            fail(f"{one.letter_id}: {one.refusal.detail if one.refusal else ''}")
        return 1 if refused else 0

    return _run(settings, decided)


async def _one(letters: Letters, letter_id: str, terms: Terms, asked: Asked) -> Decided:
    one = (
        letters.discard_all([letter_id], terms, reason=asked.reason or "")
        if asked.discards
        else letters.retry_all([letter_id], terms, reason=asked.reason, force=asked.force)
    )
    return await anext(one)


def _run(settings: Settings, work: Callable[[Letters], Awaitable[int]]) -> int:
    async def working() -> int:
        async with _opened(settings) as letters:
            return await work(letters)

    try:
        return asyncio.run(working())
    except SERVERS_AWAY as error:
        return fail(f"Postgres did not answer: {error!r}. The same command tries again.").exit_code


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Letters]:
    pool = await connect_pool(settings, role=Role.COMMANDS, size=1)
    try:
        yield Letters(pool, Handling(EventLog(pool, settings), utc_now))
    finally:
        await pool.close()
