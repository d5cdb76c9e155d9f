"""The rows of a view as of a cut are those that the live view had then, for every view that is folded by key."""

from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audits.as_of.cuts import Cut, Fact
from audits.as_of.keys import KeyRefused, parsed, parts_of, wanted
from audits.as_of.reading import NARROWED, NOT_NAMED
from audits.as_of.rows import Bounds, NotByKey, TooManyRows, folded
from audits.history.asked import OF_ACCOUNT
from events.topics import CATALOG
from infra.archive.records import envelope_of
from infra.settings import Settings
from projections.app import cassandra_views, postgres_views, redis_views
from projections.catalog.catalog_titles import CatalogTitles
from projections.views import AggregateView, KeyedView, SeriesView
from tests.audits.as_of.told import cut_off, facts, facts_of, times
from tests.builders import EVENING, movie_published, title_withdrawn
from tests.projections.generated import HISTORIES
from tests.projections.generated.delivering import Histories, log_of, one_by_one, rows_of

SETTINGS: Final = Settings()
ALL: Final[list[Any]] = [*postgres_views(SETTINGS), *redis_views(SETTINGS), *cassandra_views(SETTINGS)]
BY_KEY: Final = [view for view in ALL if not isinstance(view, AggregateView)]
ADDED_UP: Final = [view for view in ALL if isinstance(view, AggregateView)]
EVERYTHING: Final = Bounds(rows=100_000, events=100_000)
KEYS_MOST: Final = 4

made_up = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def histories(draw: st.DrawFn, view: Any) -> Histories:
    return {topic.name: draw(HISTORIES[topic.name]) for topic in view.topics}


def told_of(histories: Histories) -> list[Fact]:
    """As history has them: by when they were taken, each partition in its own order."""
    told = [fact for partition, records in log_of(histories).items() for fact in facts_of(partition, records)]
    return sorted(told, key=lambda fact: fact.history_time)


async def live_rows(view: Any, histories: Histories, at: Any) -> dict[Any, Any]:
    """By key, what a worker that was given everything that was taken by then had in its store."""
    log = {partition: records for partition, records in cut_off(log_of(histories), at).items() if records}
    rows = (await rows_of([view], log, one_by_one(log)))[view.name]
    if isinstance(view, SeriesView):
        return {key: {name: value for name, (_, value) in cells.items()} for key, cells in rows.items()}
    return rows


@pytest.mark.parametrize("view", BY_KEY, ids=lambda view: view.name)
@made_up
@given(data=st.data())
async def test_any_row_at_any_time_is_what_the_live_view_had_then(view: Any, data: Any) -> None:
    told = data.draw(histories(view))
    if not any(told.values()):
        return
    at = data.draw(times(told))
    live, held = await live_rows(view, told, at), [*Cut(known_at=at).of(told_of(told))]
    everything = folded(view, held, lambda _: True, EVERYTHING)
    assert sorted(map(repr, everything.rows)) == sorted(map(repr, live.values()))
    assert everything.failed == []
    for key in data.draw(st.lists(st.sampled_from(sorted(live, key=repr)), max_size=KEYS_MOST)) if live else ():
        assert folded(view, held, key.__eq__).rows == [live[key]]


@pytest.mark.parametrize("view", [view for view in BY_KEY if type(view).__mro__[1] is KeyedView], ids=lambda v: v.name)
@made_up
@given(data=st.data())
def test_what_a_key_is_called_is_the_column_that_holds_it(view: Any, data: Any) -> None:
    [name] = parts_of(view)
    for fact in told_of(data.draw(histories(view))):
        rows = folded(view, [fact], lambda _: True).rows
        for row in rows:
            assert getattr(row, name) == view.key(fact.recorded)


@pytest.mark.parametrize("view", ADDED_UP, ids=lambda view: view.name)
def test_what_is_added_up_is_refused_with_the_rebuild_that_shows_it(view: Any) -> None:
    with pytest.raises(NotByKey, match=f"playhead views rebuild {view.source.name} --as-of"):
        folded(view, [], lambda _: True)


def test_a_row_comes_with_the_events_that_made_it_and_no_others() -> None:
    heat, ran = movie_published("heat"), movie_published("ran")
    told = [*facts(CATALOG.name, [heat, title_withdrawn(heat)]), *facts(CATALOG.name, [ran])]
    found = folded(CatalogTitles(), told, lambda key: key == "heat")
    assert [row.status for row in found.rows] == ["withdrawn"]
    assert [event.type for event in found.events] == ["catalog.TitlePublished.v1", "catalog.TitleWithdrawn.v1"]


def test_of_many_events_the_newest_are_kept_and_all_are_counted() -> None:
    heat = movie_published("heat")
    told = facts(CATALOG.name, [heat, title_withdrawn(heat)]) * 50
    found = folded(CatalogTitles(), told, lambda _: True, Bounds(events=3))
    assert (len(found.events), found.changes) == (3, 100)


def test_more_rows_than_an_answer_holds_are_refused() -> None:
    told = facts(CATALOG.name, [movie_published("heat")]) + facts(CATALOG.name, [movie_published("ran")])
    with pytest.raises(TooManyRows, match="name more of it"):
        folded(CatalogTitles(), told, lambda _: True, Bounds(rows=1))


@pytest.mark.parametrize(
    ("view", "given", "key"),
    [
        ("catalog_titles", ["title=heat"], {"title_id": "heat"}),
        ("continue_watching", ["profile=p1"], {"profile_id": "p1"}),
        ("continue_watching", ["profile_id=p1", "field=heat"], {"profile_id": "p1", "field": "heat"}),
        ("account_holdings", ["account=a1"], {"account_id": "a1"}),
        ("watch_history", ["profile=p1", "month=2026-11"], {"profile_id": "p1", "month": "2026-11"}),
    ],
)
def test_a_key_is_said_by_the_names_of_its_parts(view: str, given: list[str], key: dict[str, str]) -> None:
    assert parsed(named(view), given) == key


@pytest.mark.parametrize("given", [[], ["p1"], ["profile="], ["device=d1"]])
def test_what_is_no_key_is_refused_with_what_one_is(given: list[str]) -> None:
    with pytest.raises(KeyRefused, match=r"profile_id=\.\.\. and month=\.\.\."):
        parsed(named("watch_history"), given)


def test_a_part_that_is_a_time_may_be_spelt_in_any_way() -> None:
    is_wanted = wanted(named("watch_history"), {"started_at": "2026-11-21T19:00:00Z"})
    assert is_wanted(("p1", "2026-11", EVENING, "s1"))


def named(name: str) -> Any:
    return next(view for view in ALL if view.name == name)


@pytest.mark.parametrize("view", BY_KEY, ids=lambda view: view.name)
@made_up
@given(data=st.data())
def test_what_is_asked_of_the_history_misses_nothing_of_a_key(view: Any, data: Any) -> None:
    """By each part of a key that narrows the question: every event that goes to such a row names it."""
    narrowing = [part for part in parts_of(view) if part in NARROWED and (view.name, part) not in NOT_NAMED]
    for partition, records in log_of(data.draw(histories(view))).items():
        for record, fact in zip(records, facts_of(partition, records), strict=True):
            if type(fact.recorded.data) in view.events:
                said = envelope_of(record.value)
                for key in keys_of(view, fact):
                    for part in narrowing:
                        value = key[parts_of(view).index(part)]
                        is_own = part == "account_id" and fact.recorded.envelope.subject in streams_of(value)
                        assert is_own or getattr(said, part) == value


def streams_of(account_id: str) -> list[str]:
    return [stream.format(account_id) for stream in OF_ACCOUNT]


def keys_of(view: Any, fact: Fact) -> list[tuple[Any, ...]]:
    if isinstance(view, SeriesView):
        rows = [stamped.row for stamped in view.project(fact.recorded)]
        return [tuple(getattr(row, name) for name in parts_of(view)) for row in rows]
    key = view.key(fact.recorded)
    return [key if isinstance(key, tuple) else (key,)]
