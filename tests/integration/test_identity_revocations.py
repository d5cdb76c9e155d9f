"""Ended sign-ins as the APIs know them, from a Redis that comes, goes and forgets."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from infra import redis
from infra.access.revocations import CHECKPOINTS, KEY, SCAN_ROWS, TOPIC, Revocations
from infra.redis import Redis
from infra.settings import Settings

pytestmark = pytest.mark.integration

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LATER_MS = int((NOW + timedelta(minutes=11)).timestamp() * 1000)


@pytest.fixture
async def client(live: Settings) -> AsyncIterator[Redis]:
    client = redis.connect(live)
    await client.delete(KEY)
    yield client
    await client.delete(KEY)
    await client.aclose()


@pytest.fixture
def revocations(live: Settings) -> Revocations:
    return Revocations(live, lambda: NOW)


async def end(client: Redis, *fields: str, until_ms: int = LATER_MS) -> None:
    await client.hset(KEY, mapping=dict.fromkeys(fields, f"7:{until_ms}:{{}}"))


async def test_what_ended_is_known_after_a_look(client: Redis, revocations: Revocations) -> None:
    await revocations.poll(client)
    assert not revocations.has_sign_in("s-1")
    await end(client, "sign_in:s-1", "device:d-1")
    await revocations.poll(client)
    assert revocations.has_sign_in("s-1")
    assert revocations.has_device("d-1")
    assert not revocations.has_device("s-1")


async def test_nothing_is_read_while_nothing_changes(client: Redis, revocations: Revocations) -> None:
    await end(client, "sign_in:s-1")
    await revocations.poll(client)
    await client.hdel(KEY, "sign_in:s-1")
    await end(client, "sign_in:unseen")  # as no projection does: neither the length nor its checkpoint moves
    await revocations.poll(client)
    assert not revocations.has_sign_in("unseen")


async def test_a_row_that_takes_the_place_of_another_is_found(client: Redis, revocations: Revocations) -> None:
    await end(client, "sign_in:s-1")
    await revocations.poll(client)
    await client.hdel(KEY, "sign_in:s-1")
    await end(client, "sign_in:s-2")
    await client.hset(CHECKPOINTS, f"{TOPIC}:0", b"8:8")  # the length is the same, the projection has moved
    await revocations.poll(client)
    assert revocations.has_sign_in("s-2")
    await client.hdel(CHECKPOINTS, f"{TOPIC}:0")


async def test_a_long_hash_is_read_a_piece_at_a_time(client: Redis, revocations: Revocations) -> None:
    await end(client, *(f"sign_in:s-{number}" for number in range(3 * SCAN_ROWS)))
    await revocations.poll(client)
    assert all(revocations.has_sign_in(f"s-{number}") for number in range(3 * SCAN_ROWS))


async def test_a_redis_that_forgot_brings_nobody_back_until_their_tokens_are_over(
    client: Redis, live: Settings
) -> None:
    now = NOW
    revocations = Revocations(live, lambda: now)
    await end(client, "sign_in:s-1")
    await revocations.poll(client)
    await client.delete(KEY)
    await revocations.poll(client)
    assert revocations.has_sign_in("s-1")
    now = NOW + timedelta(minutes=12)
    await end(client, "sign_in:s-2")
    await revocations.poll(client)
    assert not revocations.has_sign_in("s-1")


async def test_no_more_are_kept_than_may_be_and_the_soonest_over_go_first(client: Redis, live: Settings) -> None:
    revocations = Revocations(live.model_copy(update={"revocations_max": 2}), lambda: NOW)
    await end(client, "sign_in:first", until_ms=LATER_MS - 2)
    await end(client, "sign_in:second", until_ms=LATER_MS - 1)
    await end(client, "sign_in:third")
    await revocations.poll(client)
    known = [name for name in ("first", "second", "third") if revocations.has_sign_in(name)]
    assert known == ["second", "third"]


async def test_without_redis_everybody_goes_on_with_what_is_known(
    client: Redis, live: Settings, revocations: Revocations
) -> None:
    await end(client, "sign_in:s-1")
    await revocations.poll(client)
    away = redis.connect(live.model_copy(update={"redis_url": "redis://127.0.0.1:1"}))
    before = REGISTRY.get_sample_value("playhead_revocations_failed_open_total") or 0.0
    with capture_logs() as lines:
        for _ in range(5):
            await revocations.poll(away)
    assert len(lines) == 1  # one a second
    assert revocations.has_sign_in("s-1")
    assert REGISTRY.get_sample_value("playhead_revocations_failed_open_total") == before + 5
    await away.aclose()


@pytest.mark.parametrize("value", [b"", b"7", b"7:x:{}", b"\xff:\xff:\xff"])
async def test_a_hash_that_somebody_else_wrote_changes_nothing(
    client: Redis, revocations: Revocations, value: bytes
) -> None:
    await end(client, "sign_in:s-1")
    await revocations.poll(client)
    await client.hset(KEY, "sign_in:s-2", value)
    await revocations.poll(client)
    assert revocations.has_sign_in("s-1")
    await client.delete(KEY)
    await client.set(KEY, b"no hash")
    await revocations.poll(client)
    assert revocations.has_sign_in("s-1")
