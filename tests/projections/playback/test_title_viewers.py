"""Viewers per minute: a row a session and minute, whatever is reported, how often and in what order."""

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import playback as p
from events.cmcd import PlayerState, Record
from events.envelope import Envelope, Event
from projections.folding import fold_series
from projections.playback.title_viewers import SHARDS, TitleViewer, TitleViewers, shard_of
from projections.slabs import Taken
from projections.views import Stamped
from query_api.playback import viewers as read
from tests.builders import (
    EVENING,
    cmcd_record,
    cmcd_reported,
    cmcd_requested,
    episode,
    movie,
    playback_expired,
    playback_started,
    recorded,
    reported,
    session,
)
from tests.projections.folds import PLAYBACK_0, record, rows_after

VIEW = TitleViewers()
SAYS: dict[type[p.Report], dict[str, Any]] = {
    p.Seeked: {"from_ms": 3},
    p.BitrateChanged: {"bitrate_kbps": 3000},
    p.QualityChanged: {"rendition": "1080p"},
    p.Failed: {"code": "E1"},
}
LEAVES = (p.Completed, p.Stopped)
STAYS = [report for report in p.EVENT_OF if report not in LEAVES]


def rows_of(*events: Envelope[Event]) -> list[Stamped[TitleViewer]]:
    return [row for event in events if isinstance(event.data, VIEW.events) for row in VIEW.project(recorded(event))]


def counts(rows: list[Stamped[TitleViewer]]) -> Counter[tuple[str, datetime]]:
    """Viewers by title and minute, as they are counted when they are read."""
    return Counter((title_id, minute) for title_id, minute, _ in {_who(row) for row in rows})


def _who(stamped: Stamped[TitleViewer]) -> tuple[str, datetime, str]:
    return stamped.row.title_id, stamped.row.minute, stamped.row.session_id


def at(minutes: float) -> datetime:
    return EVENING + timedelta(minutes=minutes)


@pytest.mark.parametrize("report", STAYS)
def test_every_report_of_a_player_that_is_there_makes_its_session_a_viewer_of_its_minute(report: type[Any]) -> None:
    (stamped,) = rows_of(reported(report, 1, time=at(7.9), **SAYS.get(report, {})))
    assert stamped.row == TitleViewer(
        title_id=movie().title_id, hour=EVENING, shard=shard_of("session-1"), minute=at(7), session_id="session-1"
    )


def test_whoever_leaves_or_was_only_granted_is_no_viewer() -> None:
    gone = [reported(report, 1) for report in LEAVES]
    assert rows_of(*gone, reported(p.Failed, 2, code="E1", fatal=True)) == []
    assert rows_of(playback_started(), playback_expired(at=EVENING)) == []


@pytest.mark.parametrize("state", list(PlayerState))
def test_a_player_that_speaks_cmcd_alone_is_there_unless_it_says_otherwise(state: PlayerState) -> None:
    said = [cmcd_reported(cmcd_record(1, sta=state)), cmcd_requested(Record(sta=state), at=at(1))]
    there = state not in (PlayerState.ENDED, PlayerState.FATAL, PlayerState.QUIT, PlayerState.PRELOADING)
    assert counts(rows_of(*said)) == ({(movie().title_id, at(minute)): 1 for minute in (0, 1)} if there else {})


def test_an_error_that_is_not_fatal_leaves_the_viewer_there() -> None:
    assert len(rows_of(reported(p.Failed, 2, code="E1"))) == 1


def test_all_reports_of_a_minute_are_one_row() -> None:
    minute = [reported(p.Heartbeat, seq, time=at(seq / 6)) for seq in range(6)]
    taken = [Taken(PLAYBACK_0, record(n, event), recorded(event)) for n, event in enumerate(minute)]
    assert len(fold_series(VIEW, taken).rows) == 1
    assert len({(row.row, row.timestamp_us) for row in rows_of(*minute)}) == 1


def test_two_devices_of_one_profile_are_two_viewers() -> None:
    one, other = session("tv"), session("phone")
    assert counts(rows_of(reported(of=one), reported(of=other))) == {(movie().title_id, EVENING): 2}


def test_a_session_across_an_hour_is_in_each_minute_once() -> None:
    watched = rows_of(*(reported(p.Heartbeat, n, time=at(58 + n / 6)) for n in range(24)))
    assert counts(watched) == {(movie().title_id, at(minute)): 1 for minute in (58, 59, 60, 61)}
    assert {stamped.row.hour for stamped in watched} == {EVENING, at(60)}


def test_a_minute_belongs_to_one_hour_whatever_clock_its_player_has() -> None:
    mumbai = timezone(timedelta(hours=5, minutes=30))
    (stamped,) = rows_of(reported(time=at(15).astimezone(mumbai)))
    assert (stamped.row.hour, stamped.row.minute) == (EVENING, at(15))
    assert stamped.row.minute.tzinfo == UTC


def test_a_clock_that_was_never_set_is_in_no_minute() -> None:
    first = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
    assert rows_of(reported(time=first, at=EVENING, recorded_at=EVENING)) == []


def test_a_report_that_comes_late_is_counted_when_it_happened() -> None:
    late = reported(p.Heartbeat, 3, time=at(2), recorded_at=at(3 * 24 * 60))
    assert counts(rows_of(late)) == {(movie().title_id, at(2)): 1}


def test_sessions_are_spread_over_all_shards_and_read_from_as_many() -> None:
    assert {shard_of(f"session-{n}") for n in range(1_000)} == set(range(SHARDS))
    assert read.SHARDS == SHARDS


PLAYED = st.tuples(
    st.sampled_from(["tv", "phone", "laptop"]),
    st.sampled_from([movie("heat"), movie("ran"), episode(1)]),
    st.sampled_from(list(p.EVENT_OF)),
    st.integers(0, 3 * 3600),  # seconds into the evening
    st.booleans(),
)


@given(played=st.lists(PLAYED, max_size=40), data=st.data())
async def test_viewers_of_a_minute_are_the_sessions_that_a_plain_count_finds(played: list[Any], data: Any) -> None:
    histories, expected = [], set()
    for seq, (name, title, report, second, fatal) in enumerate(played):
        of = session(f"{name}-{title.title_id}", title=title)
        when = EVENING + timedelta(seconds=second)
        says = {**SAYS.get(report, {}), **({"fatal": fatal} if report is p.Failed else {})}
        histories.append(reported(report, seq, of=of, time=when, **says))
        if report not in LEAVES and not (report is p.Failed and fatal):
            expected.add((title.title_id, EVENING + timedelta(minutes=second // 60), of.session_id))
    again = data.draw(st.lists(st.sampled_from(histories), max_size=10)) if histories else []
    arrived = data.draw(st.permutations(histories + again))
    cuts = data.draw(st.sets(st.integers(0, 50), max_size=4))
    stored = await rows_after(VIEW, arrived, cuts) if arrived else {}
    counted = Counter((title_id, minute) for title_id, _, _, minute, _ in stored)
    assert counted == Counter((title_id, minute) for title_id, minute, _ in expected)
