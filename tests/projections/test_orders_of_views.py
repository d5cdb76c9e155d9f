"""Where the order in which records come does not matter to a view, and by which rule: on histories that are made up.

Every view is said of here. Records of different keys come in any order to all of them (test_view_properties.py).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from events.envelope import Envelope, Event
from events.playback import Heartbeat, Reported, SessionSnapshot
from projections.playback.completion import Thresholds
from projections.playback.continue_watching import ContinueWatching
from projections.stores.memory import AnyView
from projections.views import AggregateView, SeriesView
from tests.builders import EVENING, playback_started, reported, session
from tests.projections.folds import feeding, project
from tests.projections.generated import evenings
from tests.projections.generated.delivering import Rows, at_once, log_of, rows_of
from tests.projections.generated.lives import side_by_side
from tests.projections.test_view_properties import VIEWS, histories, made_up


class Order(StrEnum):
    """What orders a view's records, beside Kafka's order under a key."""

    NONE = "none: a row an event, or the highest timestamp stays (design, 5)"
    SEQ = "the seq of a session's reports, whenever they come (ADR 16)"
    TIME = "across sessions corrected time, within one seq (R2, R3)"
    LOG = "the event log's, in which a stream's decisions were taken (design, 4)"


ORDERS: Final[dict[str, Order]] = {
    "session_timeline": Order.NONE,
    "session_cmcd": Order.NONE,
    "watch_history": Order.NONE,
    "watch_history_removed": Order.NONE,
    "title_viewers": Order.NONE,
    "operations_staff_actions": Order.NONE,
    "playback_sessions": Order.SEQ,
    "continue_watching": Order.TIME,
    "catalog_titles": Order.LOG,
    "catalog_windows": Order.LOG,
    "catalog_search": Order.LOG,
    "catalog_schedule": Order.LOG,
    "catalog_withdrawn": Order.LOG,
    "identity_accounts": Order.LOG,
    "identity_profiles": Order.LOG,
    "identity_devices": Order.LOG,
    "identity_sign_ins": Order.LOG,
    "identity_api_keys": Order.LOG,
    "identity_revoked": Order.LOG,
    "subscription_plans": Order.LOG,
    "subscriptions": Order.LOG,
    "subscription_due": Order.LOG,
    "subscription_invoices": Order.LOG,
    "subscription_transactions": Order.LOG,
    "subscription_purchases": Order.LOG,
    "subscription_history": Order.LOG,
    "account_holdings": Order.LOG,
    "dead_letters": Order.LOG,
    "operations_dead_letter_decisions": Order.LOG,
}
"""What is added up of a view has the order of that view."""


def ordered_by(order: Order) -> list[AnyView]:
    return [view for view in VIEWS if ORDERS[feeding(view).name] is order]


def test_it_is_said_of_every_view_what_orders_its_records() -> None:
    assert {feeding(view).name for view in VIEWS} == ORDERS.keys()
    assert {view for view in VIEWS if isinstance(view, SeriesView)} <= {*ordered_by(Order.NONE)}


@pytest.mark.parametrize("view", ordered_by(Order.NONE), ids=lambda view: view.name)
@made_up
@given(data=st.data())
async def test_rows_of_their_own_may_come_in_any_order(view: AnyView, data: Any) -> None:
    told = data.draw(histories([topic.name for topic in view.topics]))
    shuffled = {topic: data.draw(st.permutations(events)) for topic, events in told.items()}
    assert await rows_after([view], shuffled) == await rows_after([view], told)


async def rows_after(views: Sequence[AnyView], told: dict[str, list[Envelope[Event]]]) -> Rows:
    log = log_of(told)
    return await rows_of(views, log, at_once(log))


@st.composite
def told_by_players(draw: st.DrawFn) -> list[Envelope[Event]]:
    """Grants and reports of some sessions."""
    sessions = [draw(evenings.snapshots(number)) for number in range(draw(st.integers(1, 3)))]
    lives = [[playback_started(of, territory="KR"), *draw(evenings.reports(of))] for of in sessions]
    return [event for life in lives for event in life]


@made_up
@given(told=told_by_players(), data=st.data())
async def test_what_players_report_may_come_in_any_order_and_twice(told: list[Envelope[Event]], data: Any) -> None:
    views = ordered_by(Order.SEQ)
    arriving = data.draw(st.permutations([*told, *told[::3]]))
    late, early = [await rows_after(views, {"playback.events": events}) for events in (arriving, told)]
    assert any(isinstance(view, AggregateView) for view in views)
    assert without_arrival(late) == without_arrival(early)


def without_arrival(rows: Rows) -> Rows:
    """The rows but for when, by our clock, the playhead was last seen to move."""
    of_sessions = {key: replace(row, moved_at=EVENING) for key, row in rows["playback_sessions"].items()}
    return {**rows, "playback_sessions": of_sessions}


@st.composite
def watched(draw: st.DrawFn, of: SessionSnapshot) -> list[Envelope[Event]]:
    """Heartbeats of a session that watches enough to be resumed (R4)."""
    at_s, position_s = draw(st.integers(0, 300)), draw(st.sampled_from((0, 60, 3_000, 5_500)))
    told = []
    for seq in range(draw(st.integers(7, 14))):
        at = of.started_at + timedelta(seconds=at_s)
        told.append(reported(Heartbeat, seq, of=of, time=at, position_ms=position_s * 1000))
        step_s = draw(st.sampled_from((10, 10, 10, 60)))
        at_s, position_s = at_s + step_s, position_s + step_s
    return told


@st.composite
def two_sessions(draw: st.DrawFn) -> list[Envelope[Event]]:
    """What two sessions of a shelf report, each in its order, among each other anyhow, as of devices that were away."""
    titles = draw(st.sampled_from((evenings.TITLES[:1], evenings.TITLES[2:])))
    starts = draw(st.permutations([timedelta(seconds=after_s) for after_s in (0, 7, 100, 400, 100_000)]))
    sessions = [
        session(f"session-{number}", title=draw(st.sampled_from(titles)), started_at=EVENING + starts[number])
        for number in range(2)
    ]
    return draw(side_by_side(*(watched(of) for of in sessions)))


@made_up
@given(told=two_sessions())
def test_of_two_sessions_the_later_has_the_row_however_their_reports_come(told: list[Envelope[Event]]) -> None:
    """R2 and R3, for what watched enough by R4. A row remembers one other session, so that it is said of two."""
    [view] = ordered_by(Order.TIME)
    assert isinstance(view, ContinueWatching)
    row = project(ContinueWatching(Thresholds(), most_rows=view.most_rows, ttl_s=view.ttl_s), told)
    assert (row.updated_at, row.session_started_at, row.seq) == max(map(place_of, told))


def place_of(event: Envelope[Event]) -> tuple[datetime, datetime, int]:
    """What R2 orders by."""
    assert isinstance(event.data, Reported)
    return event.time, event.data.session.started_at, event.data.report.seq
