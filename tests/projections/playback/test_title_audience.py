"""What titles are watched: sums, curves and different profiles are those of the sessions, however they came to be."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import playback as p
from events.cmcd import EventToken, PlayerState
from events.envelope import Envelope, Event
from events.types import ProfileId
from infra.hyperloglog import estimate, merged, registers_of
from projections.aggregating import plus
from projections.playback.intervals import NOTHING, with_interval
from projections.playback.playback_sessions import PlaybackSession, PlaybackSessions
from projections.playback.title_audience import TitleAudience, TitleAudienceByHour
from projections.playback.title_profiles import TitleProfilesByDay
from projections.playback.title_retention import POINTS, TitleRetention, TitleRetentionByDay, points_watched
from projections.playback.title_starts import TitleStartsByDay
from projections.views import AggregateView
from tests.builders import (
    EVENING,
    MINUTE_MS,
    cmcd_record,
    cmcd_reported,
    movie,
    playback_expired,
    playback_started,
    playback_terminated,
    reported,
    session,
)
from tests.projections.folds import project, rows_after

AUDIENCE, RETENTION, PROFILES = TitleAudienceByHour(), TitleRetentionByDay(), TitleProfilesByDay()
VIEWS: list[AggregateView[Any, PlaybackSession]] = [AUDIENCE, TitleStartsByDay(), RETENTION, PROFILES]
FILM_MS = 100 * MINUTE_MS
every_view = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)


def seen(*more: Envelope[Event], title_ms: int = FILM_MS, **granted: Any) -> PlaybackSession:
    """The row of a session that was granted and showed a frame, and of what came after."""
    of = session(title=movie("film", duration_ms=title_ms, credits_start_ms=None))
    row: PlaybackSession = project(
        PlaybackSessions(), [playback_started(of, **granted), reported(p.Started, 0, of=of), *more]
    )
    return row


GRANTED: PlaybackSession = project(PlaybackSessions(), [playback_started()])


def audience(row: PlaybackSession) -> TitleAudience:
    [one] = AUDIENCE.contributions(row)
    return one


def retention(row: PlaybackSession) -> TitleRetention:
    [one] = RETENTION.contributions(row)
    return one


def changed(row: PlaybackSession, **changes: Any) -> PlaybackSession:
    return msgspec.structs.replace(row, **changes)


def test_a_session_that_was_only_granted_is_a_play_and_no_start() -> None:
    row: PlaybackSession = project(PlaybackSessions(), [playback_started(territory="KR")])
    one = audience(row)
    assert (one.plays, one.starts, one.territory, one.hour) == (1, 0, "KR", EVENING)
    assert (RETENTION.contributions(row), PROFILES.contributions(row)) == ((), ())


def test_a_player_that_only_speaks_cmcd_starts_when_it_plays() -> None:
    says = cmcd_reported(cmcd_record(0, e=EventToken.STATE_CHANGED, sta=PlayerState.PLAYING))
    row: PlaybackSession = project(PlaybackSessions(), [playback_started(), says])
    assert audience(row).starts == 1


def test_a_session_counts_in_the_hour_it_started_in() -> None:
    late = EVENING + timedelta(hours=4, minutes=59, seconds=59)
    assert audience(changed(seen(), started_at=late)).hour == EVENING + timedelta(hours=4)
    assert retention(changed(seen(), started_at=late)).day == datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("completion", "exit_reason", "completed"),
    [(0.89, "stopped", 0), (0.9, None, 1), (1.0, "expired", 1), (0.01, "completed", 1), (None, None, 0)],
)
def test_a_start_is_completed_when_nearly_all_was_watched_or_its_player_says_so(
    completion: float | None, exit_reason: Any, completed: int
) -> None:
    assert audience(changed(seen(), completion=completion, exit_reason=exit_reason)).completions == completed


def test_what_showed_no_frame_is_never_completed() -> None:
    row: PlaybackSession = project(PlaybackSessions(), [playback_started()])
    assert audience(changed(row, exit_reason="completed")).completions == 0


def test_what_a_broken_clock_makes_of_watched_time_is_bounded() -> None:
    assert audience(changed(seen(), watched_ms=2**62)).watched_ms == 2**40


@pytest.mark.parametrize(
    ("watched", "points"),
    [
        ((), []),
        ((0, FILM_MS), range(100)),
        ((0, FILM_MS + 5_000), range(100)),
        ((0, MINUTE_MS // 2), []),  # its end is outside: the middle of the first percent was not seen
        ((0, MINUTE_MS // 2 + 1), [0]),
        ((MINUTE_MS // 2, MINUTE_MS), [0]),
        ((MINUTE_MS // 2 + 1, MINUTE_MS), []),
        ((99 * MINUTE_MS, FILM_MS), [99]),
        ((FILM_MS, FILM_MS + 1), []),
        ((10 * MINUTE_MS, 12 * MINUTE_MS, 50 * MINUTE_MS, 51 * MINUTE_MS), [10, 11, 50]),
    ],
)
def test_a_percent_was_watched_when_its_middle_was(watched: tuple[int, ...], points: Any) -> None:
    assert [at for at, seen_ in enumerate(points_watched(watched, FILM_MS)) if seen_] == list(points)


@given(
    watched=st.tuples(*[st.lists(st.integers(0, 2_000), max_size=6, unique=True)] * 2),
    shown=st.tuples(*[st.booleans()] * 2),
    exits=st.tuples(*[st.sampled_from([None, "stopped", "completed"])] * 2),
    position_ms=st.integers(0, 2_000),
)
def test_what_is_said_to_give_the_same_does(
    watched: tuple[list[int], list[int]], shown: tuple[bool, bool], exits: tuple[Any, Any], position_ms: int
) -> None:
    before, after = (
        changed(
            seen(title_ms=2_000) if has_shown else GRANTED,
            title_id="film",
            duration_ms=2_000,
            watched=tuple(sorted(edges)[: len(edges) // 2 * 2]),
            exit_reason=reason,
            position_ms=position_ms,
        )
        for edges, has_shown, reason in zip(watched, shown, exits, strict=True)
    )
    for view in VIEWS:
        if view.gives_the_same(before, after):
            assert view.contributions(before) == view.contributions(after)


@given(
    intervals=st.lists(st.tuples(st.integers(0, 1_500), st.integers(1, 800)), max_size=8),
    duration_ms=st.integers(1, 1_200),
)
def test_points_are_those_of_the_union_whatever_was_watched_twice(
    intervals: list[tuple[int, int]], duration_ms: int
) -> None:
    union = NOTHING
    for begin, length in intervals:
        union = with_interval(union, begin, begin + length, most=500)
    middles = [(2 * point + 1) * duration_ms / 200 for point in range(POINTS)]
    expected = [any(begin <= middle < begin + length for begin, length in intervals) for middle in middles]
    assert list(points_watched(union, duration_ms)) == [int(one) for one in expected]


@pytest.mark.parametrize(
    ("position_ms", "point"), [(0, 0), (MINUTE_MS, 1), (MINUTE_MS - 1, 0), (FILM_MS, 99), (2 * FILM_MS, 99)]
)
def test_who_leaves_is_counted_where(position_ms: int, point: int) -> None:
    row = changed(seen(), exit_reason="stopped", position_ms=position_ms, completion=0.2)
    assert [at for at, left in enumerate(retention(row).drop_off) if left] == [point]


def test_who_goes_on_or_completed_left_nowhere() -> None:
    assert not any(retention(seen()).drop_off)
    assert not any(retention(changed(seen(), exit_reason="completed", position_ms=FILM_MS)).drop_off)
    assert not any(retention(changed(seen(), exit_reason="stopped", completion=0.95)).drop_off)


def test_a_channel_has_no_curve() -> None:
    assert RETENTION.contributions(seen(title_ms=0)) == ()


def test_a_profile_is_told_by_its_registers() -> None:
    [one] = PROFILES.contributions(seen())
    assert one.registers == registers_of("profile-1")


SESSIONS = [
    session(
        f"s-{number}",
        title=movie(f"film-{number % 2}", duration_ms=2 * MINUTE_MS),
        profile_id=ProfileId(f"profile-{number % 3}"),
        started_at=EVENING + timedelta(hours=number),
    )
    for number in range(6)
]
HISTORY = [
    event
    for number, of in enumerate(SESSIONS)
    for event in (
        playback_started(of, territory=("KR", "DE")[number % 2]),
        reported(p.Started, 0, of=of),
        *(reported(p.Heartbeat, seq, of=of) for seq in range(1, 4 + 3 * (number % 3))),
        (
            playback_expired(of, at=EVENING + timedelta(days=2)),
            playback_terminated(of, at=EVENING + timedelta(days=2)),
            reported(p.Completed, 20, of=of, position_ms=2 * MINUTE_MS),
        )[number % 3],
    )
]


def recounted(view: AggregateView[Any, PlaybackSession], sessions: dict[str, PlaybackSession]) -> dict[str, Any]:
    counted: dict[str, Any] = {}
    for row in sessions.values():
        for one in view.contributions(row):
            counted[one.key] = plus(view, counted.get(one.key), one)
    return counted


@every_view
@given(data=st.data())
async def test_it_is_recounted_from_the_sessions_in_any_order_with_repeats_and_what_came_late(
    view: AggregateView[Any, PlaybackSession], data: Any
) -> None:
    again = data.draw(st.lists(st.sampled_from(HISTORY), max_size=6))
    lost = data.draw(st.sets(st.sampled_from(range(len(HISTORY))), max_size=6))
    kept = [event for at, event in enumerate(HISTORY) if at not in lost]
    events = [*data.draw(st.permutations([*kept, *again])), *(HISTORY[at] for at in lost)]
    splits = data.draw(st.sets(st.integers(0, len(events))))
    sessions = await rows_after(PlaybackSessions(), events)
    assert len(sessions) == len(SESSIONS)
    assert await rows_after(view, events, splits) == recounted(view, sessions)


async def test_a_late_grant_moves_a_session_to_its_country() -> None:
    of = session(title=movie("film"))
    reports = [reported(p.Started, 0, of=of), reported(p.Heartbeat, 1, of=of)]
    unknown = await rows_after(AUDIENCE, reports)
    assert [row.territory for row in unknown.values()] == [None]
    rows = await rows_after(AUDIENCE, [*reports, playback_started(of, territory="KR")], {2})
    assert [(row.territory, row.starts, row.watched_ms) for row in rows.values()] == [("KR", 1, 10_000)]


async def test_profiles_of_many_sessions_are_estimated_for_each_day() -> None:
    of = [session(f"s-{n}", title=movie("film"), profile_id=ProfileId(f"profile-{n % 50}")) for n in range(150)]
    rows = await rows_after(PROFILES, [reported(p.Started, 0, of=one) for one in of], {40, 90})
    [row] = rows.values()
    assert row.starts == 150
    assert row.registers == merged([registers_of(f"profile-{n}") for n in range(50)])
    assert abs(estimate(row.registers) - 50) <= 3
