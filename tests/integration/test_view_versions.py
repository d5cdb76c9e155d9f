"""Versions of views on real servers: rebuilt beside the live one, compared, swapped, and back, while all goes on."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from events.topics import PLAYBACK
from infra import event_log
from infra.ids import new_id
from infra.postgres import Pool, connect, connect_pool, migrate
from infra.settings import Settings
from infra.view_lag import Ends, behind
from projections.app import postgres_views
from projections.versions import changes, registry
from projections.versions.build import Build
from projections.versions.groups import Group, grouped
from projections.versions.registry import State, Version
from projections.versions.verify import verify
from tests.integration.changed_views import changed_views
from tests.integration.projection_workers import Worker, evening, eventually, produce

pytestmark = pytest.mark.integration

SESSIONS = "playback_sessions"


@pytest.fixture(scope="module")
async def patient(live: Settings) -> AsyncIterator[Settings]:
    """An installation with a database of its own, so that there is no row which no event made. Its rebuilds wait for
    nobody, and hand back soon.
    """
    name, there = f"versions_{new_id().replace('-', '')}", urlsplit(live.postgres_dsn)
    changed = {"postgres_dsn": urlunsplit(there._replace(path=f"/{name}")), "rebuild_pause_lag_records": 10**9}
    connection = await connect(live)
    await connection.execute(f"create database {name}")
    ours = live.model_copy(update={**changed, "view_hand_back_quiet_s": 4.0})
    await migrate(ours)
    await event_log.create_partitions(ours)
    yield ours
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


@pytest.fixture(scope="module")
async def pool(patient: Settings) -> AsyncIterator[Pool]:
    opened = await connect_pool(patient)
    yield opened
    opened.terminate()


@pytest.fixture
def worker(patient: Settings, tmp_path: Path) -> Iterator[Worker]:
    """The release that runs."""
    running = Worker("postgres", patient, tmp_path)
    yield running
    running.close()


@pytest.fixture(autouse=True)
async def nothing_beside(pool: Pool, patient: Settings) -> AsyncIterator[None]:
    """Each test leaves nothing beside what is live."""
    yield
    for version in await registry.read(pool):
        if version.state not in (State.LIVE, State.RETIRED):
            await changes.retire(patient, version)


async def applied(live: Settings, pool: Pool) -> bool:
    async with Ends(live) as ends:
        return all(one.records == 0 for one in (await behind(ends, pool, PLAYBACK.name)).values())


async def all_applied(live: Settings, pool: Pool) -> None:
    await eventually(lambda: applied(live, pool))


def sessions_of(settings: Settings, *, changed: bool = False) -> Group:
    return grouped(changed_views(settings) if changed else postgres_views(settings))[SESSIONS]


async def built(settings: Settings, group: Group) -> Version:
    version = await changes.begin(settings, group)
    async with Build(group, version, settings) as build:
        await build.run()
        return build.version


async def test_every_rebuilt_view_equals_the_live_one(worker: Worker, patient: Settings, pool: Pool) -> None:
    await produce(patient, [*evening(new_id(), sessions=40, reports=30), b"poison", b"{}"])
    await all_applied(patient, pool)
    for group in grouped(postgres_views(patient)).values():
        version = await built(patient, group)
        assert version.state is State.READY
        async with Build(group, version, patient) as build:
            compared = await verify(build, patient)
        assert [each.view for each in compared if not each.equal] == [], compared
    [sessions] = [each for each in await registry.read(pool, SESSIONS) if each.state is State.READY]
    assert sessions.records_set_aside >= 2
    assert sessions.verified is not None and sessions.verified["equal"]
