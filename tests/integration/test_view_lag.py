"""How far views are behind, as processes that wait for them see it: infra/view_lag.py on a real Kafka and Postgres."""

from collections.abc import AsyncIterator

import pytest

from events.topics import PLAYBACK
from infra.ids import new_id
from infra.postgres import Pool
from infra.settings import Settings
from infra.view_lag import Ends, Progress, behind
from tests.builders import playback_started, session
from tests.integration.projection_workers import produce

pytestmark = pytest.mark.integration


@pytest.fixture
async def ends(live: Settings) -> AsyncIterator[Ends]:
    async with Ends(live) as opened:
        yield opened


async def test_a_partition_is_behind_by_what_was_produced_since_its_checkpoint(
    live: Settings, ends: Ends, postgres: Pool
) -> None:
    before = await behind(ends, postgres, PLAYBACK.name)
    assert len(before) == live.playback_partitions
    one = session(new_id())
    await produce(live, [playback_started(one)] * 3)
    after = await behind(ends, postgres, PLAYBACK.name)
    assert sum(after[each].end - before[each].end for each in after) >= 3  # others may produce meanwhile


async def test_a_partition_that_was_never_applied_is_behind_by_all_of_it(ends: Ends, postgres: Pool) -> None:
    topic = PLAYBACK.name
    held = await postgres.fetch("select partition from projection_checkpoint where topic = $1", topic)
    for partition, progress in (await behind(ends, postgres, topic)).items():
        if partition not in {row["partition"] for row in held}:
            assert progress == Progress(progress.end, 0)
            assert progress.records == progress.end


async def test_an_unknown_topic_has_no_partitions(ends: Ends, postgres: Pool) -> None:
    assert await behind(ends, postgres, "never.created") == {}


def test_a_checkpoint_that_is_ahead_of_what_kafka_said_is_not_behind() -> None:
    assert Progress(end=5, next_offset=7).records == 0
