"""Where the views are, asked for once for all; and until when a reply holds while they stay there."""

import asyncio

import pytest

from query_api.caching.declared import Turn
from query_api.caching.places import RETRIES
from query_api.caching.turns import NEVER
from query_api.stores import StoreUnavailable
from tests.query_api.caching.views import NOW_S, Views, places_of, turns_of

CATALOG = ("catalog.events",)


async def test_the_places_are_read_once_for_all_who_ask_meanwhile_and_again_when_they_are_old() -> None:
    views = Views()
    places = await places_of(views, reply_cache_position_age_s=2)
    assert await asyncio.gather(*(places.now(CATALOG) for _ in range(5))) == [("a", None)] * 5
    views.places["catalog.events"] = "moved"
    views.now_s += 1
    assert await places.now(CATALOG) == ("a", None)
    assert views.looked == 1
    views.now_s += 1
    assert await places.now(CATALOG) == ("moved", None)


async def test_a_place_of_what_is_played_may_be_older_whatever_else_is_asked_meanwhile() -> None:
    views, played = Views(), ("playback.events", *CATALOG)
    places = await places_of(views, reply_cache_position_age_s=1, reply_cache_playback_age_s=3)
    before = await places.now(played)
    views.places = {"catalog.events": "moved", "playback.events": "moved"}
    for views.now_s in (NOW_S + 1, NOW_S + 2):
        assert await places.now(CATALOG) == ("moved", None)
        assert await places.now(played) == before
    views.now_s = NOW_S + 3
    assert await places.now(played) == ("moved", "moved", None)


async def test_a_place_is_of_the_topics_that_are_asked_for_and_of_retried_dead_letters() -> None:
    views = Views()
    places = await places_of(views, reply_cache_position_age_s=0)
    before = await places.now(CATALOG)
    views.places["playback.events"] = "moved"
    assert await places.now(CATALOG) == before
    views.places[RETRIES] = "moved"
    assert await places.now(CATALOG) != before
    assert await places.now(("unknown.events", *CATALOG)) == (None, "a", "moved")


async def test_while_postgres_is_away_there_is_no_place() -> None:
    views = Views()
    places = await places_of(views, reply_cache_position_age_s=0)
    await places.now(CATALOG)
    views.is_away = True
    with pytest.raises(StoreUnavailable):
        await places.now(CATALOG)


async def test_a_reply_holds_until_the_minute_or_the_hour_is_over() -> None:
    views = Views()
    turns = await turns_of(views)
    views.now_s = 7_210.5
    assert await turns.next_s((), CATALOG, ("a", None)) == NEVER
    assert await turns.next_s((Turn.MINUTE,), CATALOG, ("a", None)) == 7_260
    assert await turns.next_s((Turn.HOUR,), CATALOG, ("a", None)) == 10_800
    assert await turns.next_s((Turn.HOUR, Turn.MINUTE), CATALOG, ("a", None)) == 7_260
    views.now_s = 7_260.0
    assert await turns.next_s((Turn.MINUTE,), CATALOG, ("a", None)) == 7_320


async def test_a_reply_holds_until_a_window_turns_which_is_read_once_while_the_catalog_stands() -> None:
    views = Views()
    views.next_turn_s = NOW_S + 30
    turns = await turns_of(views, reply_cache_turns_interval_s=1)
    for views.now_s in (NOW_S, NOW_S + 10):
        assert await turns.next_s((Turn.WINDOWS,), CATALOG, ("a", None)) == NOW_S + 30
    assert views.turns_read == 1
    views.now_s, views.next_turn_s = NOW_S + 30, None
    assert await turns.next_s((Turn.WINDOWS,), CATALOG, ("a", None)) == NEVER
    assert views.turns_read == 2


async def test_what_is_played_turns_no_window() -> None:
    views = Views()
    turns = await turns_of(views, reply_cache_turns_interval_s=1)
    for played in ("b", "moved", "moved again"):
        assert await turns.next_s((Turn.WINDOWS,), ("playback.events", *CATALOG), (played, "a", None)) == NEVER
    assert views.turns_read == 1


async def test_while_the_catalog_moves_nobody_can_tell_when_a_window_turns() -> None:
    views = Views()
    turns = await turns_of(views, reply_cache_turns_interval_s=1)
    assert await turns.next_s((Turn.WINDOWS,), CATALOG, ("a", None)) == NEVER
    views.now_s += 0.5
    assert await turns.next_s((Turn.WINDOWS, Turn.HOUR), CATALOG, ("moved", None)) is None
    assert views.turns_read == 1
    views.now_s += 0.5
    assert await turns.next_s((Turn.WINDOWS,), CATALOG, ("moved", None)) == NEVER
