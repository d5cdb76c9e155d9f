"""What holds for every view that projections/app.py lists, on histories that are made up: what comes twice is applied
once, any slabs give what a replay gives, and where the rules say that order does not matter it does not.

A view whose topic has no histories, or that is not said of in test_orders_of_views.py, fails here.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from events.envelope import Envelope, Event
from events.operations import LetterEvent
from events.registry import members, type_of
from events.topics import DEAD_LETTERS, topic_of
from infra.settings import Settings
from projections.aggregating import is_empty, plus
from projections.app import cassandra_views, postgres_views, redis_views
from projections.stores.memory import AnyView
from projections.views import AggregateView
from tests.projections.folds import feeding
from tests.projections.generated import HISTORIES
from tests.projections.generated.delivering import (
    Histories,
    Rows,
    at_once,
    compared,
    log_of,
    one_by_one,
    rounds,
    rows_of,
    told_again,
)
from tests.projections.generated.dying import rows_after_deaths

SETTINGS: Final = Settings()
IN_POSTGRES: Final[list[AnyView]] = [*postgres_views(SETTINGS)]
ELSEWHERE: Final[list[AnyView]] = [*cassandra_views(SETTINGS), *redis_views(SETTINGS)]
VIEWS: Final = [*IN_POSTGRES, *ELSEWHERE]
TOGETHER: Final[dict[tuple[str, ...], list[AnyView]]] = defaultdict(list)
"""The views that are tested together, since they take the same topics."""
for each in VIEWS:
    TOGETHER[tuple(topic.name for topic in feeding(each).topics)].append(each)

every_view = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
every_topic = pytest.mark.parametrize("topics", TOGETHER, ids=lambda topics: f"{topics[0]}+{len(topics) - 1}")
made_up = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
always_the_same = settings(made_up, max_examples=400, derandomize=True, database=None, phases=(Phase.generate,))


@st.composite
def histories(draw: st.DrawFn, topics: Sequence[str]) -> Histories:
    """What may stand in these topics."""
    return {topic: draw(HISTORIES[topic]) for topic in topics}


@every_view
def test_a_view_is_named_once_and_its_events_come_from_its_topics(view: AnyView) -> None:
    assert [other.name for other in VIEWS].count(view.name) == 1
    contexts = {topic.name.partition(".")[0] for topic in view.topics}
    assert {type_of(event).partition(".")[0] for event in view.events} <= contexts | {"operations"}


@every_view
def test_a_row_is_frozen_and_equal_by_value(view: AnyView) -> None:
    assert view.row.__struct_config__.frozen


@every_topic
@made_up
@given(data=st.data())
async def test_any_slabs_of_any_partitions_give_what_a_replay_gives(topics: tuple[str, ...], data: Any) -> None:
    log, views = log_of(data.draw(histories(topics))), TOGETHER[topics]
    replayed = await rows_of(views, log, at_once(log))
    assert await rows_of(views, log, one_by_one(log)) == replayed
    assert await rows_of(views, log, data.draw(rounds(log))) == replayed


@every_topic
@made_up
@given(data=st.data())
async def test_what_is_produced_twice_counts_once(topics: tuple[str, ...], data: Any) -> None:
    told, views = data.draw(histories(topics)), TOGETHER[topics]
    log = log_of(told)
    twice = log_of({topic: data.draw(told_again(topic, events)) for topic, events in told.items()})
    assert await rows_of(views, twice, at_once(twice)) == await rows_of(views, log, at_once(log))


@every_topic
@made_up
@given(data=st.data())
async def test_a_worker_that_dies_between_rows_and_checkpoint_applies_them_once(
    topics: tuple[str, ...], data: Any
) -> None:
    """Cassandra and Redis move the checkpoint after the rows, and not with them."""
    views = [view for view in TOGETHER[topics] if view in ELSEWHERE]
    log = log_of(data.draw(histories(topics)))
    after = await rows_after_deaths(views, log, data.draw(rounds(log)), data.draw(st.sets(st.integers(0, 10))))
    assert after == await rows_of(views, log, at_once(log))


@every_topic
@made_up
@given(data=st.data())
async def test_what_is_added_up_is_what_its_source_comes_to(topics: tuple[str, ...], data: Any) -> None:
    log, views = log_of(data.draw(histories(topics))), TOGETHER[topics]
    rows = await rows_of(views, log, data.draw(rounds(log)))
    for view in views:
        if isinstance(view, AggregateView):
            assert rows[view.name] == added_up(view, rows), view.name


def added_up(view: AggregateView[Any, Any], rows: Rows) -> dict[str, Any]:
    """An aggregate from scratch, of the rows that its source has now."""
    counted: dict[str, Any] = {}
    key = view.row.__struct_fields__[0]
    for row in rows[view.source.name].values():
        for one in view.contributions(row):
            of_key = getattr(one, key)
            counted[of_key] = plus(view, counted.get(of_key), one)
    return {of_key: compared(view, row) for of_key, row in counted.items() if not is_empty(view, row)}


class Reached(Exception):
    """Everything that was to be met has been."""


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize("topic", HISTORIES)
def test_the_histories_reach_every_event_that_a_view_takes_and_give_every_view_rows(topic: str) -> None:
    views = [view for view in VIEWS if topic in {of.name for of in feeding(view).topics}]
    missing = {event.__name__ for view in views for event in view.events if topic in topics_of(event)}
    missing |= {view.name for view in views}

    @always_the_same
    @given(events=HISTORIES[topic])
    def look(events: list[Envelope[Event]]) -> None:
        missing.difference_update(type(event.data).__name__ for event in events)
        log = log_of({topic: events})
        rows = asyncio.run(rows_of(views, log, at_once(log)))
        missing.difference_update(view for view, by_key in rows.items() if by_key)
        if not missing:
            raise Reached

    with contextlib.suppress(Reached):
        look()
    assert missing == set()


def topics_of(event: type[Event]) -> set[str]:
    """Where events of a class stand."""
    letters = {topic.name for topic in DEAD_LETTERS}
    return letters if event in members(LetterEvent) else {topic_of(type_of(event)).name}
