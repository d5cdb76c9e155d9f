"""What of a profile's rows may be played, as a start would decide it."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.entitlement import Status
from query_api.playback.playable import Holdings, TitleFacts, Unplayable, Viewer, Window, changes_at_s, unplayable

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
DAY = timedelta(days=1)
FOR_EVER = (float("-inf"), float("inf"))
VIEWER = Viewer("household-1", None, "KR")


def facts(*licences: str, window: tuple[float, float] = FOR_EVER, **changes: Any) -> TitleFacts:
    windows = tuple(Window(licence, *window) for licence in licences)
    values = {"name": "Heat", "season_number": None, "episode_number": None, "series_id": None, "minimum_age": 12}
    return TitleFacts(**{**values, "is_published": True, "windows": windows, **changes})


def value(**row: Any) -> bytes:
    return b"7:1:" + msgspec.json.encode({**row, "updated_at": NOW})


def subscription(status: str = "active", **moments: Any) -> bytes:
    return value(subscription={"status": status, "paid_through": NOW + DAY, "terms": {"plan_id": "p"}, **moments})


def purchase(title_id: str = "heat", kind: str = "purchase", **changes: Any) -> bytes:
    bought = {"purchase_id": "p-1", "title_id": title_id, "kind": kind, "status": "granted", "access_from": NOW - DAY}
    return value(purchase={**bought, **changes})


def at(moment: datetime) -> float:
    return moment.timestamp()


def why(title: TitleFacts | None, *held: bytes, viewer: Viewer = VIEWER, required: bool = True) -> Unplayable | None:
    holdings = Holdings(held, NOW)
    return unplayable("heat", title, viewer, holdings, now_s=NOW.timestamp(), subscription_required=required)


def test_a_subscriber_may_play_what_is_open_where_they_are() -> None:
    assert why(facts("svod"), subscription()) is None
    assert why(facts("svod"), subscription("grace", paid_through=NOW - DAY, grace_until=NOW + DAY)) is None


def test_without_a_subscription_it_is_left_to_advertising_and_purchases() -> None:
    assert why(facts("svod")) == "not_entitled"
    assert why(facts("svod"), subscription("expired")) == "not_entitled"
    assert why(facts("svod"), subscription(grace_until=NOW)) == "not_entitled"
    assert why(facts("svod"), required=False) is None
    assert why(facts("svod", "avod")) is None
    assert why(facts("tvod"), subscription()) == "not_entitled"


@pytest.mark.parametrize(
    ("changes", "playable"),
    [
        ({}, True),
        ({"status": "revoked"}, False),
        ({"access_until": NOW + DAY}, True),
        ({"access_until": NOW}, False),
        ({"kind": "rental", "start_by": NOW + DAY}, True),
        ({"kind": "rental", "start_by": NOW}, False),
        ({"kind": "rental", "start_by": NOW, "started_at": NOW - DAY, "access_until": NOW + DAY}, True),
        ({"title_id": "other"}, False),
        ({"access_from": NOW + DAY}, False),
    ],
)
def test_a_purchase_is_good_for_its_title_while_it_lasts(changes: dict[str, Any], playable: bool) -> None:
    assert (why(facts("tvod"), purchase(**changes)) is None) is playable


def test_a_series_that_was_bought_is_all_of_its_episodes() -> None:
    assert why(facts("est", series_id="harbour"), purchase("harbour")) is None


@pytest.mark.parametrize(
    ("opens", "closes", "reason"), [(0, 1, None), (1, 2, "not_available"), (-1, 0, "not_available")]
)
def test_a_window_counts_from_when_it_opens_until_it_closes(opens: int, closes: int, reason: str | None) -> None:
    window = ((NOW + opens * DAY).timestamp(), (NOW + closes * DAY).timestamp())
    assert why(facts("avod", window=window)) == reason


def test_where_nobody_knows_where_the_viewer_is_windows_say_nothing() -> None:
    assert why(facts(), viewer=Viewer("household-1", None, None)) is None


def test_a_profile_with_a_limit_is_offered_nothing_above_it_and_nothing_unrated() -> None:
    child = Viewer("household-1", 7, "KR")
    assert why(facts("avod"), viewer=child) == "above_maturity_limit"
    assert why(facts("avod", minimum_age=7), viewer=child) is None
    assert why(facts("avod", minimum_age=None), viewer=child) == "above_maturity_limit"


def test_of_what_nobody_can_tell_everybody_is_offered_all_but_a_profile_with_a_limit() -> None:
    assert why(None) is None
    assert why(None, viewer=Viewer("household-1", 19, "KR")) == "above_maturity_limit"


def test_what_is_not_published_is_not_played() -> None:
    assert why(facts("avod", is_published=False)) == "not_published"


MOMENTS = st.none() | st.integers(-5, 5).map(lambda days: NOW + days * DAY)
SUBSCRIPTIONS = st.builds(
    subscription,
    st.sampled_from(get_args(Status)),
    **dict.fromkeys(("pending_until", "paid_through", "grace_until", "expires_at", "ends_at"), MOMENTS),
    **dict.fromkeys(("paused_at", "resumes_at"), MOMENTS),
)
PURCHASES = st.builds(
    purchase,
    kind=st.sampled_from(["purchase", "rental"]),
    **dict.fromkeys(("access_from", "start_by", "started_at", "access_until"), MOMENTS),
)
WINDOWS = st.lists(
    st.tuples(st.sampled_from(["svod", "tvod", "avod"]), st.integers(-5, 4), st.integers(1, 5)), max_size=3
)


@given(SUBSCRIPTIONS, st.lists(PURCHASES, max_size=3), WINDOWS, st.integers(0, 20))
def test_what_may_be_played_is_the_same_until_the_next_moment_that_is_told(
    held: bytes, bought: list[bytes], opened: list[tuple[str, int, int]], hours: int
) -> None:
    windows = [Window(of, at(NOW + day * DAY), at(NOW + (day + days) * DAY)) for of, day, days in opened]
    title = facts()._replace(windows=tuple(windows))
    now, values = NOW + hours * timedelta(hours=1), [held, *bought]
    holdings = Holdings(values, now)
    until_s = min(holdings.until_s, changes_at_s(title, at(now)))
    for later in (now + quarters * DAY / 4 for quarters in range(40)):
        if at(later) < until_s:
            then, *before = (
                unplayable("heat", title, VIEWER, one, now_s=at(when), subscription_required=True)
                for one, when in ((Holdings(values, later), later), (holdings, later), (holdings, now))
            )
            assert before == [then, then]


def test_the_next_moment_is_told() -> None:
    assert Holdings([subscription(grace_until=NOW + 8 * DAY)], NOW).until_s == at(NOW + DAY)
    paused = subscription("paused", paused_at=NOW - 3 * DAY, resumes_at=NOW - DAY, paid_through=NOW - DAY)
    assert Holdings([paused], NOW).until_s == at(NOW + DAY)  # a pause of two days moved it
    assert Holdings([], NOW).until_s == float("inf")
