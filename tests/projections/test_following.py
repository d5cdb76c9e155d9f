"""Who folds into which version where the store says what is live: without a server."""

import pytest

from infra.live_views import Keeper, LiveView
from infra.settings import Settings
from projections.app import redis_views
from projections.errors import StoreUnavailable
from projections.versions.following import FollowsLive, FollowsVersion
from projections.versions.keeping import Superseded

VIEW = "continue_watching"


@pytest.fixture
def worker() -> FollowsLive:
    return FollowsLive("redis", redis_views(Settings()))


def live(version: int = 2, keeper: Keeper = Keeper.PROJECTION, fold: int = 1) -> dict[str, LiveView]:
    return {VIEW: LiveView(version, keeper, fold)}


def test_a_view_that_nothing_is_said_of_has_its_first_version_live(worker: FollowsLive) -> None:
    worker.agree({})
    assert (worker.version(VIEW), worker.skips(VIEW), worker.missing) == (1, False, {})


@pytest.mark.parametrize("keeper", [Keeper.PROJECTION, Keeper.BOTH])
def test_a_worker_writes_the_live_version(worker: FollowsLive, keeper: Keeper) -> None:
    worker.agree(live(keeper=keeper))
    assert (worker.version(VIEW), worker.skips(VIEW)) == (2, False)


def test_a_view_that_a_rebuild_keeps_is_passed_over_whatever_its_fold(worker: FollowsLive) -> None:
    for fold in (1, 2):
        worker.agree(live(keeper=Keeper.REBUILD, fold=fold))
        assert worker.skips(VIEW)
    assert "a rebuild keeps it meanwhile" in worker.missing[f"view {VIEW}"]


@pytest.mark.parametrize("keeper", [Keeper.PROJECTION, Keeper.BOTH])
def test_a_worker_with_another_fold_writes_nothing_that_the_projection_keeps(
    worker: FollowsLive, keeper: Keeper
) -> None:
    with pytest.raises(StoreUnavailable, match="nothing is written until then"):
        worker.agree(live(keeper=keeper, fold=2))


def test_looking_tells_who_has_the_fold_and_changes_nothing_that_is_written(worker: FollowsLive) -> None:
    worker.agree({})
    assert worker.look(live(keeper=Keeper.REBUILD)) == {VIEW: True}
    assert worker.look(live(keeper=Keeper.REBUILD, fold=2)) == {VIEW: False}
    assert worker.look(live()) == {}
    assert worker.version(VIEW) == 1


def test_a_rebuild_writes_its_own_version_until_the_projection_keeps_it() -> None:
    rebuild = FollowsVersion("redis", VIEW, 2)
    assert (rebuild.name, rebuild.version(VIEW)) == ("redis/continue_watching@2", 2)
    for others in ({}, live(3), live(keeper=Keeper.BOTH), live(keeper=Keeper.REBUILD)):
        rebuild.agree(others)
    with pytest.raises(Superseded, match="no rebuild keeps it"):
        rebuild.agree(live())
