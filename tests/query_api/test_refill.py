"""Whether Redis has all rows: as far as it was seen to be, and as far as Postgres was a while ago."""

from collections.abc import Mapping

from infra.settings import Settings
from query_api.playback import TOPIC
from query_api.playback.refill import Refill
from query_api.stores import StoreUnavailable
from query_api.subscription import TOPIC as SUBSCRIPTION

SETTINGS = Settings()


class Stores:
    """How far two stores are, with a clock beside them."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.redis: dict[str, dict[int, int]] = {TOPIC: {0: 100, 1: 90}, SUBSCRIPTION: {0: 10}}
        self.postgres: dict[str, dict[int, int]] = {TOPIC: {0: 100, 1: 90}, SUBSCRIPTION: {0: 10}}
        self.postgres_is_away = False
        self.refill = self.started()

    def started(self) -> Refill:
        """A process that begins now."""
        return Refill(self._of_redis, self._of_postgres, SETTINGS, clock=lambda: self.now_s)

    async def _of_redis(self, topic: str) -> Mapping[int, int]:
        return dict(self.redis.get(topic, {}))

    async def _of_postgres(self, topic: str) -> Mapping[int, int]:
        if self.postgres_is_away:
            raise StoreUnavailable("away")
        return dict(self.postgres.get(topic, {}))

    async def after(self, seconds: float = 1.0) -> bool:
        """What is known so much later."""
        self.now_s += seconds
        known = self.refill.known()
        return await self.refill.now() if known is None else known


async def test_a_redis_that_is_as_far_as_postgres_has_all_rows() -> None:
    assert await Stores().after(0)


async def test_a_redis_that_came_back_empty_lacks_rows_until_it_is_where_it_was() -> None:
    stores = Stores()
    assert await stores.after()
    for emptied in (
        {},
        {TOPIC: {0: -1, 1: -1}, SUBSCRIPTION: {0: -1}},
        {TOPIC: {0: 100, 1: 89}, SUBSCRIPTION: {0: 10}},
    ):
        stores.redis = emptied
        assert not await stores.after()
    stores.redis = {TOPIC: {0: 101, 1: 90}, SUBSCRIPTION: {0: 10}}
    assert await stores.after()


async def test_rows_lack_too_while_what_accounts_hold_is_filled_again() -> None:
    stores = Stores()
    assert await stores.after()
    stores.redis[SUBSCRIPTION] = {0: 9}
    assert not await stores.after()


async def test_a_process_that_starts_meanwhile_learns_of_it_from_postgres() -> None:
    stores = Stores()
    stores.redis = {TOPIC: {0: 3, 1: 2}, SUBSCRIPTION: {}}
    stores.refill = stores.started()
    assert not await stores.after()


async def test_a_projection_that_is_a_moment_behind_lacks_nothing() -> None:
    stores = Stores()
    assert await stores.after()
    for _ in range(50):
        stores.postgres[TOPIC][0] += 5
        assert await stores.after()
        stores.redis[TOPIC][0] += 5


async def test_a_projection_that_stays_behind_lacks_rows() -> None:
    stores = Stores()
    assert await stores.after()
    stores.postgres[TOPIC][0] += 5
    assert await stores.after(SETTINGS.refill_witness_s)
    assert not await stores.after(SETTINGS.refill_witness_s)


async def test_while_postgres_is_away_it_is_told_by_what_was_seen_of_redis() -> None:
    stores = Stores()
    stores.postgres_is_away = True
    assert await stores.after()
    stores.redis = {TOPIC: {0: 7}}
    assert not await stores.after()


async def test_a_redis_that_nothing_was_ever_applied_to_lacks_rows() -> None:
    stores = Stores()
    stores.redis, stores.postgres = {}, {}
    stores.refill = stores.started()
    assert not await stores.after()


async def test_a_log_that_begins_anew_is_no_refill_for_ever() -> None:
    stores = Stores()
    assert await stores.after()
    stores.redis = stores.postgres = {TOPIC: {0: 4, 1: 4}, SUBSCRIPTION: {0: 1}}
    assert not await stores.after()
    assert await stores.after(SETTINGS.refill_witness_s)


async def test_it_is_looked_at_once_for_a_while_and_anew_for_who_sees_nothing() -> None:
    stores = Stores()
    assert await stores.after()
    stores.redis = {}
    assert stores.refill.known() is True
    assert not await stores.refill.read()
    assert stores.refill.known() is False
