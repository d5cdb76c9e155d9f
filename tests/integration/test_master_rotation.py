"""`playhead keys rotate master`: what a master key sealed comes under another, whoever is killed or erased."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from infra.access.keyring import MASTER, Keyring
from infra.clock import utc_now
from infra.ids import new_id
from infra.personal_data import MasterKey, PersonKey
from infra.postgres import Pool, connect, connect_pool, migrate
from infra.rewrapping import rewrap, sealed_by
from infra.settings import Settings
from tests.integration.projection_workers import eventually

pytestmark = pytest.mark.integration

MOVED = "select count(*) from person_key where substr(wrapped, 1, 20) <> $1"
PERSONS = 40


@pytest.fixture(scope="module")
async def database(live: Settings) -> AsyncIterator[Settings]:
    """A database of its own: a rotation is about all the persons that there are."""
    name, there = f"rotation_{new_id().replace('-', '')}", urlsplit(live.postgres_dsn)
    connection = await connect(live)
    await connection.execute(f"create database {name}")
    ours = live.model_copy(update={"postgres_dsn": urlunsplit(there._replace(path=f"/{name}"))})
    await migrate(ours)
    yield ours
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


@pytest.fixture
async def ours(database: Settings, tmp_path: Path) -> Settings:
    """An installation without persons, whose keys are its own."""
    return database.model_copy(
        update={"state_dir": tmp_path, "keys_announced_s": 0, "keys_reload_s": 0.001, "rewrap_batch_rows": 1}
    )


@pytest.fixture
async def pool(ours: Settings) -> AsyncIterator[Pool]:
    opened = await connect_pool(ours)
    await opened.execute("truncate person_key, identity_mail")
    yield opened
    opened.terminate()


async def a_person(pool: Pool, master: MasterKey, number: int) -> PersonKey:
    """A person with a key, whose id sorts by its number."""
    person_id = f"person-{number:04}"
    key, wrapped = master.new_person(person_id)
    await pool.execute(
        "insert into person_key (person_id, wrapped, created_at) values ($1, $2, now())", person_id, wrapped
    )
    return key


async def fingerprints(pool: Pool, master: MasterKey) -> list[str | None]:
    """Of every person's key, as the ring opens it now; None for one that is destroyed."""
    rows = await pool.fetch("select person_id, wrapped from person_key order by person_id")
    keys = [master.unwrap(row["wrapped"], row["person_id"]) for row in rows]
    return [key.fingerprint if key else None for key in keys]


async def keys(ours: Settings, *arguments: str) -> asyncio.subprocess.Process:
    """`playhead keys` in a process of its own."""
    environment = {
        **os.environ,
        "PLAYHEAD_POSTGRES_DSN": ours.postgres_dsn,
        "PLAYHEAD_STATE_DIR": str(ours.state_dir),
        "PLAYHEAD_KEYS_ANNOUNCED_S": "0",
        "PLAYHEAD_KEYS_RELOAD_S": "0.001",
        "PLAYHEAD_REQUEST_TIMEOUT_S": "0.001",
        "PLAYHEAD_REWRAP_BATCH_ROWS": "1",
    }
    command = (sys.executable, "-m", "playhead", "keys", *arguments)
    return await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=PIPE)


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    out, errors = await process.communicate()
    return process.returncode, (out + errors).decode()


async def test_a_rotation_that_is_killed_goes_on_and_loses_nobody(ours: Settings, pool: Pool) -> None:
    master = MasterKey.load(ours)
    old = master.ring.signing().kid
    expected: list[str | None] = [(await a_person(pool, master, number)).fingerprint for number in range(PERSONS)]
    await pool.execute(
        "insert into identity_mail (sealed, due_at, created_at) values ($1, now(), now())", master.seal("mail")
    )
    under_old = b"m1." + old.encode() + b"."

    async with pool.acquire() as other, other.transaction():
        await other.execute(
            "select from person_key where person_id = 'person-0020' for update"
        )  # so it gets no farther
        killed = await keys(ours, "rotate", "master")

        async def half_done() -> bool:
            return bool(await pool.fetchval(MOVED, under_old) == 20)

        await eventually(half_done)
        assert await fingerprints(pool, master) == expected  # both keys are known meanwhile
        killed.send_signal(signal.SIGKILL)
        assert await killed.wait() == -signal.SIGKILL
    late = MasterKey.load(ours.model_copy(update={"keys_announced_s": 10**6}))  # has not heard of the new one
    expected.append((await a_person(pool, late, PERSONS)).fingerprint)
    for number in (3, 30):  # erased in between: one that was brought over, and one that was not
        await pool.execute("update person_key set wrapped = null where person_id = $1", f"person-{number:04}")
        expected[number] = None

    status, said = await ended(await keys(ours, "rotate", "master"))
    assert (status, "going on" in said) == (0, True), said
    [new, _] = Keyring(MASTER, ours).known()
    assert await sealed_by(pool, master) == {new.kid: PERSONS}  # one more person, two fewer, and a letter
    assert await fingerprints(pool, master) == expected
    assert master.open(await pool.fetchval("select sealed from identity_mail")) == "mail"
    status, said = await ended(await keys(ours, "retire", "--", old))
    assert (status, [key.kid for key in Keyring(MASTER, ours).known()]) == (0, [new.kid]), said
    assert await fingerprints(pool, MasterKey.load(ours)) == expected


async def test_a_master_key_is_not_retired_while_anything_is_sealed_by_it(ours: Settings, pool: Pool) -> None:
    master = MasterKey.load(ours)
    key = await a_person(pool, master, 0)
    old = master.ring.known()[0].kid
    Keyring(MASTER, ours).add()
    for arguments in ((old,), ("--force", "--", old)):
        status, said = await ended(await keys(ours, "retire", *arguments))
        assert (status, "1 are sealed by" in said) == (1, True), said
    assert await fingerprints(pool, MasterKey.load(ours)) == [key.fingerprint]


async def test_what_no_master_key_opens_stays_as_it_is_and_is_told(ours: Settings, pool: Pool) -> None:
    master, lost = MasterKey.load(ours), MasterKey.alone(b"l" * 32)
    await a_person(pool, lost, 0)
    key = await a_person(pool, master, 1)
    Keyring(MASTER, ours).add()
    batches = [batch async for batch in rewrap(pool, master, batch_rows=10)]
    assert (sum(batch.seen for batch in batches), sum(batch.unreadable for batch in batches)) == (2, 1)
    assert await sealed_by(pool, master) == {lost.ring.known()[0].kid: 1, master.ring.signing().kid: 1}
    opened = master.unwrap(
        await pool.fetchval("select wrapped from person_key where person_id = 'person-0001'"), "person-0001"
    )
    assert opened is not None and opened.fingerprint == key.fingerprint


async def test_a_key_that_is_destroyed_while_it_is_sealed_again_stays_destroyed(ours: Settings, pool: Pool) -> None:
    master = MasterKey.load(ours)
    await a_person(pool, master, 0)
    Keyring(MASTER, ours).add()
    async with pool.acquire() as eraser:
        transaction = eraser.transaction()
        await transaction.start()
        await eraser.execute("update person_key set wrapped = null, destroyed_at = $1", utc_now())
        passing = asyncio.ensure_future(_pass(pool, master))

        async def waits() -> bool:
            waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            return bool(await pool.fetchval(f"select exists ({waiting})"))

        await eventually(waits)
        await transaction.commit()
        await passing
    assert await pool.fetchval("select wrapped is null from person_key")


async def _pass(pool: Pool, master: MasterKey) -> None:
    async for _ in rewrap(pool, master, batch_rows=10):
        pass
