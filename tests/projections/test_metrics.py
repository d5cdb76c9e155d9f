"""Every number of how projections fare is a metric of a process, and in GET /v1/projections."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client import REGISTRY

from projections import metrics
from projections.versions.registry import Keeper, State, Version
from query_api.projections import ProjectionState, TopicState
from query_api.rebuild_states import RebuildState

NUMBERS = {
    "lag": ("playhead_projection_lag_records", TopicState, "lag_records"),
    "freshness": ("playhead_projection_freshness_seconds", TopicState, "freshness_s"),
    "throughput": ("playhead_projection_records", ProjectionState, "records_per_s"),
    "dead letters": ("playhead_projection_dead_letters", ProjectionState, "dead_letters_open"),
    "checkpoint age": ("playhead_projection_checkpoint_timestamp_seconds", TopicState, "checkpoint_age_s"),
    "rebuild state": ("playhead_view_version_state", RebuildState, "state"),
    "rebuild records done": ("playhead_rebuild_records_done", RebuildState, "records_done"),
    "rebuild records total": ("playhead_rebuild_records_total", RebuildState, "records_total"),
    "rebuild lag behind live": ("playhead_rebuild_lag_records", RebuildState, "lag_records"),
    "rebuild rate": ("playhead_rebuild_records_per_second", RebuildState, "records_per_s"),
    "rebuild ETA": ("playhead_rebuild_eta_seconds", RebuildState, "eta_s"),
    "rebuild records set aside": ("playhead_rebuild_records_set_aside", RebuildState, "records_set_aside"),
    "rebuild waits": ("playhead_rebuild_waits", RebuildState, "waits"),
}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BUILT = Version(
    view="playback_sessions",
    store="postgres",
    version=2,
    state=State.BUILDING,
    table_name="playback_sessions__v2",
    folds={"playback_sessions": 2},
    keeper=Keeper.REBUILD,
    created_at=NOW,
    started_at=NOW,
    ready_at=None,
    swapped_at=None,
    retired_at=None,
    worked_at=NOW,
    records_done=600,
    records_total=1_000,
    records_set_aside=3,
    records_per_s=20.0,
    paused=False,
    max_events_per_s=None,
    waits=None,
    verified=None,
    last_error=None,
    current_seen_at=None,
    outdated_seen_at=None,
    cut=None,
)


@pytest.mark.parametrize(("metric", "model", "field"), NUMBERS.values(), ids=NUMBERS)
def test_every_number_is_a_metric_and_in_the_reply(metric: str, model: Any, field: str) -> None:
    assert metric in {each.name for each in REGISTRY.collect()}
    assert field in model.model_fields


def shown(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"view": "playback_sessions", "version": "2", **labels})


def test_a_rebuild_shows_how_far_it_is_and_until_when() -> None:
    metrics.show_versions([BUILT])
    assert shown("playhead_view_version_state", state="building", keeper="rebuild") == 1
    assert shown("playhead_rebuild_records_done") == 600
    assert shown("playhead_rebuild_records_total") == 1_000
    assert shown("playhead_rebuild_lag_records") == 400
    assert shown("playhead_rebuild_records_per_second") == 20
    assert shown("playhead_rebuild_eta_seconds") == 20
    assert shown("playhead_rebuild_records_set_aside") == 3
    assert shown("playhead_rebuild_waits") == 0


def test_what_stands_still_says_so() -> None:
    metrics.show_versions([replace(BUILT, waits="the live views are behind")])
    assert shown("playhead_rebuild_waits") == 1
    metrics.show_versions([replace(BUILT, paused=True)])
    assert shown("playhead_rebuild_waits") == 1


def test_a_version_is_shown_in_one_state_and_gone_when_it_is_retired() -> None:
    metrics.show_versions([BUILT])
    metrics.show_versions([replace(BUILT, state=State.READY)])
    assert shown("playhead_view_version_state", state="building", keeper="rebuild") is None
    assert shown("playhead_view_version_state", state="ready", keeper="rebuild") == 1
    metrics.show_versions([replace(BUILT, state=State.RETIRED)])
    assert shown("playhead_view_version_state", state="ready", keeper="rebuild") is None
    assert shown("playhead_rebuild_records_done") is None


def test_a_live_version_that_the_projection_keeps_is_no_rebuild() -> None:
    metrics.show_versions([replace(BUILT, state=State.LIVE, keeper=Keeper.PROJECTION)])
    assert shown("playhead_view_version_state", state="live", keeper="projection") == 1
    assert shown("playhead_rebuild_records_done") is None
