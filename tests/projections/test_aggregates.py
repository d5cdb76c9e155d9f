"""What is added up of another view's rows is what its rows come to, however they became so."""

from collections.abc import Iterable

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from events import playback as p
from projections.aggregating import Sums, is_empty, net_changes, plus
from projections.playback.playback_sessions import PlaybackSession, PlaybackSessions
from projections.views import AggregateView
from tests.builders import MINUTE_MS, movie, playback_started, reported, session
from tests.projections.folds import project, rows_after

CLASSES = 4


class Plays(msgspec.Struct, frozen=True):
    """How often a title is played, how long, how far (by quarters), and on which devices at most."""

    title_id: str
    plays: int
    watched_ms: int
    quarters: tuple[int, ...]
    devices: tuple[int, ...]


class PlaysByTitle(AggregateView[Plays, PlaybackSession]):
    """Plays that showed a frame."""

    name = "plays_by_title"
    row = Plays
    source = PlaybackSessions
    sums = ("plays", "watched_ms", "quarters")
    maxima = ("devices",)

    def contributions(self, row: PlaybackSession) -> Iterable[Plays]:
        if row.watched_ms:
            quarter = min(int((row.completion or 0) * CLASSES), CLASSES - 1)
            quarters = tuple(int(number == quarter) for number in range(CLASSES))
            yield Plays(row.title_id, 1, row.watched_ms, quarters, (row.last_seq,))


VIEW = PlaysByTitle()
FILMS = [session(f"s-{number}", title=movie(f"film-{number % 2}")) for number in range(4)]
HISTORY = [
    event
    for film in FILMS
    for event in (
        playback_started(film),
        reported(p.Started, 0, of=film),
        *(reported(p.Heartbeat, seq, of=film) for seq in range(1, 6)),
    )
]


def recounted(rows: Iterable[PlaybackSession]) -> dict[str, Plays]:
    counted: dict[str, Plays] = {}
    for row in rows:
        for one in VIEW.contributions(row):
            counted[one.title_id] = plus(VIEW, counted.get(one.title_id), one)
    return counted


@given(order=st.permutations(range(len(HISTORY))), splits=st.sets(st.integers(0, len(HISTORY))))
async def test_it_is_what_its_source_comes_to_in_any_order_and_any_slabs(order: list[int], splits: set[int]) -> None:
    events = [HISTORY[place] for place in order]
    sessions = await rows_after(PlaybackSessions(), events, splits)
    assert await rows_after(VIEW, events, splits) == recounted(sessions.values())


@given(order=st.permutations(range(len(HISTORY))), length=st.integers(0, len(HISTORY)))
async def test_it_comes_to_the_same_when_it_is_added_up_at_once(order: list[int], length: int) -> None:
    events = [HISTORY[place] for place in order[:length]]
    sessions = await rows_after(PlaybackSessions(), events)
    sums = Sums(VIEW)
    for each in sessions.values():
        sums.put(each)
    assert sums.rows == await rows_after(VIEW, events)


class Devices(msgspec.Struct, frozen=True):
    """Registers of which the largest stay."""

    title_id: str
    plays: int
    registers: bytes


class DevicesByTitle(AggregateView[Devices, PlaybackSession]):
    name = "devices_by_title"
    row = Devices
    source = PlaybackSessions
    sums = ("plays",)
    maxima = ("registers",)

    def contributions(self, row: PlaybackSession) -> Iterable[Devices]:
        return ()


@given(one=st.binary(min_size=8, max_size=8), other=st.binary(min_size=8, max_size=8), zeros=st.integers(0, 8))
def test_of_registers_each_keeps_its_largest(one: bytes, other: bytes, zeros: int) -> None:
    other = bytes(zeros) + other[zeros:]
    held = plus(DevicesByTitle(), Devices("t", 1, one), Devices("t", 1, other))
    assert held == Devices("t", 2, bytes(map(max, one, other)))


def row(**changes: object) -> PlaybackSession:
    made: PlaybackSession = project(
        PlaybackSessions(), [playback_started(FILMS[0]), reported(p.Started, 0, of=FILMS[0])]
    )
    return msgspec.structs.replace(made, watched_ms=MINUTE_MS, **changes)


def test_a_row_that_goes_elsewhere_is_taken_from_where_it_was() -> None:
    before, after = row(), row(title_id="other")
    net = net_changes(VIEW, {"s-0": before}, {"s-0": (after, 1)})
    assert {key: one.plays for key, one in net.items()} == {before.title_id: -1, "other": 1}


def test_a_row_that_gives_the_same_as_before_changes_nothing() -> None:
    assert net_changes(VIEW, {"s-0": row()}, {"s-0": (row(event_count=9), 1)}) == {}


def test_what_is_taken_back_wholly_is_empty_but_keeps_its_largest() -> None:
    [given_] = VIEW.contributions(row(last_seq=7))
    held = plus(VIEW, plus(VIEW, None, given_), given_, -1)
    assert is_empty(VIEW, held) and held.devices == (7,)
