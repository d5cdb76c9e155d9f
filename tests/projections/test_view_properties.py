"""What holds for every view: a record applied twice is applied once, and any slabs give what a replay gives."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import playback as p
from events.cmcd import EventToken, PlayerState
from events.envelope import Envelope, Event
from events.registry import type_of
from infra.settings import Settings
from projections.app import cassandra_views, postgres_views, redis_views
from projections.stores.memory import AnyView
from tests.builders import (
    EVENING,
    cmcd_record,
    cmcd_reported,
    cmcd_requested,
    continue_watching_hidden,
    dead_letter_applied,
    dead_letter_discarded,
    dead_letter_retried,
    episode,
    episode_published,
    movie_published,
    playback_expired,
    playback_started,
    playback_terminated,
    record_dead_lettered,
    recorded,
    reported,
    season_added,
    series_published,
    session,
    watch_history_removed,
)
from tests.projections.folds import feeding, rows_after
from tests.projections.identity import histories as identity
from tests.projections.subscription import histories as subscriptions

SETTINGS = Settings()
VIEWS: list[AnyView] = [*postgres_views(SETTINGS), *cassandra_views(SETTINGS), *redis_views(SETTINGS)]
every_view = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)

FILM, PILOT, SILENT = session("film"), session("pilot", title=episode(1)), session("silent")
HISTORIES: dict[str, list[Envelope[Event]]] = {
    "playback.events": [
        playback_started(FILM),
        reported(p.Started, 0, of=FILM, startup_ms=600),
        playback_started(PILOT),
        reported(p.Heartbeat, 1, of=FILM),
        reported(p.Heartbeat, 3, of=PILOT, position_ms=1_000_000),
        reported(p.Paused, 2, of=PILOT),
        reported(p.Seeked, 3, of=FILM, from_ms=20_000, position_ms=2_000_000),
        reported(p.Failed, 2, of=FILM, code="E1"),
        reported(p.Completed, 4, of=PILOT, position_ms=2_400_000),
        reported(p.Stopped, 9, of=FILM, position_ms=2_100_000),
        cmcd_reported(cmcd_record(0), of=FILM),
        cmcd_reported(cmcd_record(1), of=FILM),
        cmcd_requested(of=PILOT),
        playback_started(SILENT),
        cmcd_reported(cmcd_record(2, e=EventToken.STATE_CHANGED, sta=PlayerState.PLAYING), of=SILENT),
        playback_terminated(SILENT, at=EVENING + timedelta(minutes=5)),
        reported(p.BufferingStarted, 1, of=SILENT),
        reported(p.Paused, 0, of=SILENT),
        playback_expired(PILOT, at=EVENING + timedelta(minutes=30)),
        continue_watching_hidden("harbour", at=EVENING + timedelta(minutes=40)),
        reported(p.Heartbeat, 10, of=FILM, position_ms=2_110_000),
        watch_history_removed(FILM, at=EVENING + timedelta(minutes=50)),
    ],
    "catalog.events": [
        movie_published("heat"),
        series_published(),
        season_added(1),
        episode_published(1),
        season_added(2),
        movie_published("ran"),
        episode_published(1, name="Pilot"),
        series_published(name="Harbor"),
    ],
    "identity.events": identity.HISTORY,
    "subscription.events": subscriptions.HISTORY,
    "catalog.events.dlq": [
        *(record_dead_lettered(offset=offset) for offset in (1, 2, 3, 2)),
        record_dead_lettered(offset=2, attempt=1),
        dead_letter_applied(offset=3, attempt=1),
        dead_letter_applied(offset=2, attempt=2),
        record_dead_lettered(offset=2, attempt=1),
    ],
    "operations.events": [
        dead_letter_retried(),
        dead_letter_retried(attempt=2),
        dead_letter_discarded("redis/playback.events/0/1"),
        dead_letter_discarded(),
    ],
}


def history_of(view: AnyView) -> list[Envelope[Event]]:
    return [event for topic in feeding(view).topics for event in HISTORIES.get(topic.name, ())]


@every_view
def test_a_view_is_named_once_and_its_events_come_from_its_topics(view: AnyView) -> None:
    assert [other.name for other in VIEWS].count(view.name) == 1
    contexts = {topic.name.partition(".")[0] for topic in view.topics}
    assert {type_of(event).partition(".")[0] for event in view.events} <= contexts | {"operations"}


@every_view
@given(splits=st.sets(st.integers(0, 40)))
async def test_any_slabs_give_what_a_replay_gives(view: AnyView, splits: set[int]) -> None:
    history = history_of(view)
    assert await rows_after(view, history, splits) == await rows_after(view, history)


@every_view
@given(data=st.data())
async def test_a_record_given_twice_is_applied_once(view: AnyView, data: Any) -> None:
    history = history_of(view)
    places = data.draw(st.lists(st.sampled_from(range(len(history))), max_size=4))
    twice = [event for at, event in enumerate(history) for _ in range(1 + places.count(at))]
    assert await rows_after(view, twice) == await rows_after(view, history)


@every_view
def test_a_row_is_frozen_and_equal_by_value(view: AnyView) -> None:
    assert view.row.__struct_config__.frozen
    assert {type(recorded(event).data) for event in history_of(view)} & set(feeding(view).events)
