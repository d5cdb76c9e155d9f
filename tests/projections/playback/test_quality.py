"""What sessions give to the quality of their minute and hour, and that rows are what their sessions come to."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import playback as p
from events.cmcd import EventToken, PlayerState
from events.envelope import Envelope, Event
from infra.log_buckets import bucket_of
from projections.aggregating import plus
from projections.playback.playback_sessions import PlaybackSession, PlaybackSessions
from projections.playback.quality import (
    LABEL_MAX,
    MOST_BITS,
    Quality,
    QualityByTime,
    QualityCount,
    QualityCounts,
    quality_views,
)
from tests.builders import (
    EVENING,
    cmcd_record,
    cmcd_reported,
    device,
    movie,
    playback_expired,
    playback_started,
    reported,
    session,
)
from tests.projections.folds import project, rows_after

MINUTE = timedelta(minutes=1)
LATER = EVENING + timedelta(hours=1)
every_view = pytest.mark.parametrize("view", quality_views(), ids=lambda view: view.name)


def after(*events: Envelope[Event]) -> PlaybackSession:
    row: PlaybackSession = project(PlaybackSessions(), events)
    return row


def quality(*events: Envelope[Event]) -> Quality:
    [given_] = QualityByTime("minute").contributions(after(*events))
    return given_


def counts(*events: Envelope[Event]) -> dict[tuple[str, str], int]:
    given_ = QualityCounts("minute").contributions(after(*events))
    return {(one.counted, one.label): one.occurrences for one in given_}


def at(report: type[p.Report], seq: int, second: float, position_s: float, **values: Any) -> Envelope[Event]:
    time = EVENING + timedelta(seconds=second)
    return reported(report, seq, time=time, position_ms=int(position_s * 1000), **values)


GRANTED = playback_started(territory="KR")
STARTED = at(p.Started, 0, 1, 0, startup_ms=820, bitrate_kbps=3_000)


def test_a_session_counts_in_the_minute_and_the_hour_that_it_started_in() -> None:
    of = session(started_at=EVENING + timedelta(minutes=59, seconds=59.9))
    row = after(playback_started(of), reported(p.Heartbeat, 0, of=of, time=EVENING + timedelta(hours=3)))
    [by_minute], [by_hour] = (QualityByTime(interval).contributions(row) for interval in ("minute", "hour"))
    assert (by_minute.begins_at, by_hour.begins_at) == (EVENING + 59 * MINUTE, EVENING)


def test_a_session_is_told_apart_by_what_where_and_how_it_plays() -> None:
    tv = device(platform="tizen", app_version="8.4")
    of = session(title=movie("heat"), device=tv)
    given_ = quality(playback_started(of, territory="KR"), reported(of=of, cdn="a", cdn_edge="icn-2"))
    assert (given_.title_id, given_.device_type, given_.platform, given_.app_version) == ("heat", "tv", "tizen", "8.4")
    assert (given_.cdn, given_.cdn_edge, given_.country) == ("a", "icn-2", "KR")


def test_what_nobody_said_is_empty_and_what_is_long_is_cut() -> None:
    given_ = quality(playback_started(), reported(cdn_edge="e" * 400))
    assert (given_.cdn, given_.platform, given_.app_version, given_.country) == ("", "", "", "")
    assert given_.cdn_edge == "e" * LABEL_MAX


def test_what_was_measured_is_given() -> None:
    stall = [at(p.BufferingStarted, 1, 11, 10), at(p.BufferingEnded, 2, 15, 10), at(p.Heartbeat, 3, 25, 20)]
    given_ = quality(GRANTED, STARTED, *stall, at(p.Failed, 4, 25, 20, code="E1", dropped_frames=7))
    assert (given_.plays, given_.starts, given_.startups, given_.startup_ms) == (1, 1, 1, 820)
    assert (given_.playing_ms, given_.watched_ms, given_.bits, given_.bitrate_ms) == (
        20_000,
        20_000,
        60_000_000,
        20_000,
    )
    assert (given_.stall_count, given_.stalled_ms, given_.stalled_plays) == (1, 4_000, 1)
    assert (given_.dropped_frames, given_.error_count, given_.playback_failures) == (7, 1, 0)


def failures(given_: Quality) -> tuple[int, int, int]:
    return given_.exits_before_video, given_.start_failures, given_.playback_failures


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([GRANTED], (0, 0, 0)),
        ([GRANTED, at(p.Stopped, 0, 3, 0)], (1, 0, 0)),
        ([GRANTED, playback_expired(at=LATER)], (1, 0, 0)),
        ([GRANTED, at(p.Failed, 0, 3, 0, code="E1", fatal=True)], (0, 1, 0)),
        ([GRANTED, playback_expired(at=LATER), at(p.Failed, 0, 3, 0, code="E1", fatal=True)], (0, 1, 0)),
        ([GRANTED, STARTED, at(p.Failed, 1, 9, 8, code="E1", fatal=True)], (0, 0, 1)),
        ([GRANTED, STARTED, at(p.Failed, 1, 9, 8, code="E1")], (0, 0, 0)),
        ([GRANTED, STARTED, at(p.Stopped, 1, 9, 8)], (0, 0, 0)),
    ],
)
def test_who_sees_no_frame_left_or_was_failed(events: list[Envelope[Event]], expected: tuple[int, int, int]) -> None:
    assert failures(quality(*events)) == expected


def test_a_player_that_speaks_cmcd_alone_starts_and_fails() -> None:
    def turns(number: int, state: PlayerState) -> Envelope[Event]:
        return cmcd_reported(cmcd_record(number, e=EventToken.STATE_CHANGED, sta=state))

    shown = [GRANTED, turns(0, PlayerState.PLAYING)]
    assert (quality(*shown).starts, quality(*shown).startups) == (1, 0)
    assert failures(quality(*shown, turns(1, PlayerState.FATAL))) == (0, 0, 1)
    assert failures(quality(GRANTED, turns(0, PlayerState.FATAL))) == (0, 1, 0)


def test_startups_are_counted_by_length_and_errors_by_code() -> None:
    errors = [at(p.Failed, seq, seq, 0, code=code) for seq, code in enumerate(("E1", "E2", "E1"), start=1)]
    startup = ("startup", str(bucket_of(820)))
    assert counts(GRANTED, STARTED, *errors) == {startup: 1, ("error", "E1"): 2, ("error", "E2"): 1}


def test_codes_that_are_the_same_once_cut_are_counted_together() -> None:
    errors = [at(p.Failed, seq, seq, 0, code="E" * LABEL_MAX + str(seq)) for seq in range(2)]
    assert counts(GRANTED, *errors) == {("error", "E" * LABEL_MAX): 2}


def test_downloads_are_left_out() -> None:
    row = after(playback_started(offline=True), STARTED)
    assert [one for view in quality_views() for one in view.contributions(row)] == []


def test_no_player_can_make_a_sum_too_large() -> None:
    endless = [at(p.Heartbeat, seq, seq * 10**7, seq * 10**6, bitrate_kbps=2**31 - 1, rate=0.1) for seq in range(9)]
    assert quality(GRANTED, STARTED, *endless).bits == MOST_BITS


def recounted(view: QualityByTime | QualityCounts, rows: Iterable[PlaybackSession]) -> dict[str, Any]:
    counted: dict[str, Any] = {}
    for row in rows:
        for one in view.contributions(row):
            counted[one.key] = plus(view, counted.get(one.key), one)
    return counted


SITTINGS = [
    session(f"s-{n}", title=movie(f"film-{n % 2}"), started_at=EVENING + (n // 2) * 31 * MINUTE) for n in range(5)
]
HISTORY = [
    event
    for n, of in enumerate(SITTINGS)
    for event in (
        playback_started(of, territory="KR" if n % 2 else "NL", offline=n == 4),
        reported(p.Started, 0, of=of, startup_ms=600 * (n + 1), cdn="a", cdn_edge="a-1"),
        reported(p.Failed, 1, of=of, code=f"E{n % 2}"),
        reported(p.Heartbeat, 2, of=of, cdn="b" if n % 2 else "a", bitrate_kbps=4_000),
        reported(p.BufferingStarted, 3, of=of),
        reported(p.BufferingEnded, 4, of=of),
        reported(p.Failed, 5, of=of, code="E9", fatal=n == 1),
    )
]


@every_view
@given(data=st.data())
async def test_rows_are_what_sessions_come_to_in_any_order_any_slabs_and_twice(view: Any, data: Any) -> None:
    order = data.draw(st.permutations(range(len(HISTORY))))
    again = data.draw(st.lists(st.sampled_from(order), max_size=6))
    splits = data.draw(st.sets(st.integers(0, len(HISTORY))))
    events = [HISTORY[place] for place in (*order, *again)]
    sessions = await rows_after(PlaybackSessions(), events, splits)
    rows = await rows_after(view, events, splits)
    assert rows == recounted(view, sessions.values()) == await rows_after(view, HISTORY)


async def test_what_comes_late_corrects_the_minute_that_its_session_started_in() -> None:
    now = [playback_started(SITTINGS[2]), reported(p.Started, 0, of=SITTINGS[2], startup_ms=900)]
    late = reported(p.Started, 0, of=SITTINGS[0], startup_ms=700, recorded_at=LATER + timedelta(days=2))
    rows = await rows_after(QualityByTime("minute"), [playback_started(SITTINGS[0]), *now, late], range(9))
    assert {row.begins_at: (row.plays, row.startup_ms) for row in rows.values()} == {
        SITTINGS[0].started_at: (1, 700),
        SITTINGS[2].started_at: (1, 900),
    }


async def test_a_session_that_goes_on_from_another_cdn_is_taken_from_the_one_before() -> None:
    events = [GRANTED, at(p.Started, 0, 1, 0, startup_ms=820, cdn="a"), at(p.Heartbeat, 1, 11, 10, cdn="b")]
    sums = await rows_after(QualityByTime("hour"), events, range(4))
    startups = await rows_after(QualityCounts("hour"), events, range(4))
    assert [(row.cdn, row.plays, row.playing_ms) for row in sums.values()] == [("b", 1, 10_000)]
    assert [(row.cdn, row.occurrences) for row in startups.values() if isinstance(row, QualityCount)] == [("b", 1)]
