"""`playhead keys rotate master`: another master key, and all that older ones sealed brought under it, while commands
and queries go on. Whoever kills it runs it again: it goes on with the key that it made.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from infra.access.keyring import MASTER, Keyring, RingKey
from infra.clock import utc_now
from infra.personal_data import MasterKey
from infra.postgres import Pool, Role, connect_pool
from infra.rewrapping import rewrap, sealed_by
from infra.settings import Settings
from playhead.console import err, fail, say

SERVERS_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


def run(settings: Settings) -> int:
    """Rotate; the exit status."""
    try:
        return asyncio.run(_rotated(settings))
    except SERVERS_AWAY as error:
        return fail(f"Postgres did not take it: {error!r}. The same command goes on where it was.").exit_code


def sealed_under(settings: Settings, kid: str) -> int:
    """How much a master key sealed that is still there. Raises what a Postgres that is away does."""

    async def counted() -> int:
        async with _pool(settings) as pool:
            return (await sealed_by(pool, MasterKey.load(settings))).get(kid, 0)

    return asyncio.run(counted())


async def _rotated(settings: Settings) -> int:
    master = MasterKey.load(settings)
    async with _pool(settings) as pool:
        newest = await _begun(pool, master, settings)
        await _known_everywhere(newest, settings)
        unreadable = await _under_the_newest(pool, master, settings)
        left = await sealed_by(pool, master)
    left.pop(newest.kid, None)
    if unreadable:
        return fail(f"{unreadable} cannot be opened by any master key here; they stay as they are.").exit_code
    older = [key.kid for key in master.ring.known() if key.kid != newest.kid and not left.get(key.kid)]
    say(f"master: all is under {newest.kid}.")
    for kid in older:
        say(f"{kid} sealed nothing that is left: when no backup needs it, `playhead keys retire {kid}`.")
    return 0


async def _begun(pool: Pool, master: MasterKey, settings: Settings) -> RingKey[bytes]:
    """The key to go to: the newest, if a rotation to it is not done; else a new one."""
    ring = Keyring(MASTER, settings, beside=settings.master_keys_path)
    newest, sealed = ring.known()[0], await sealed_by(pool, master)
    if len(ring.known()) > 1 and any(count for kid, count in sealed.items() if kid != newest.kid):
        say(f"master: going on with the rotation to {newest.kid}")
        return newest
    key = ring.add()
    say(f"master: {key.kid} is made")
    return key


async def _known_everywhere(key: RingKey[bytes], settings: Settings) -> None:
    """Wait until every process knows a key, and seals under it."""
    known_at = key.made_at + timedelta(seconds=settings.keys_announced_s + 2 * settings.keys_reload_s)
    left_s = (known_at - utc_now()).total_seconds()
    if left_s > 0:
        say(f"waiting {left_s:.0f} s, until every process seals under it (PLAYHEAD_KEYS_ANNOUNCED_S)")
        await asyncio.sleep(left_s)


async def _under_the_newest(pool: Pool, master: MasterKey, settings: Settings) -> int:
    """Pass over all until a pass finds nothing more to do; how many cannot be opened."""
    bar = Progress(
        TextColumn("sealing again"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=err, transient=True
    )
    while True:
        sealed, kid = await sealed_by(pool, master), master.ring.signing().kid
        seen = unreadable = 0
        with bar:
            task = bar.add_task("", total=sum(count for each, count in sealed.items() if each != kid))
            async for batch in rewrap(pool, master, batch_rows=settings.rewrap_batch_rows):
                seen, unreadable = seen + batch.seen, unreadable + batch.unreadable
                bar.update(task, completed=seen)
        bar.remove_task(task)
        if seen == unreadable:
            return unreadable


@asynccontextmanager
async def _pool(settings: Settings) -> AsyncIterator[Pool]:
    pool = await connect_pool(settings, role=Role.COMMANDS, size=1)
    try:
        yield pool
    finally:
        await pool.close()
