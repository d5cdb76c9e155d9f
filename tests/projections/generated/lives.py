"""Lives of streams: whatever is asked of a decider in whatever order, as far as it does not refuse."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final, NamedTuple, TypeVar

from hypothesis import strategies as st

from commands.decider import Decider
from events.envelope import Envelope, Event
from events.refusals import Refusal
from tests.builders import envelope

T0: Final = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
DAY: Final = timedelta(days=1)
GAPS: Final = (timedelta(0), timedelta(minutes=5), DAY, DAY, 8 * DAY, 31 * DAY)
"""How long it is quiet before something is asked."""

Ask = Callable[[Sequence[Event], datetime], Any]
"""What is asked, in view of what has happened and of the time; None: there is nothing to ask."""


class Stream(NamedTuple):
    """A stream, and what may be asked of it; what is said more often is asked more often. `begins`: what may come
    first, with time that passes, so that lives come further.
    """

    stream_id: str
    decider: Decider[Any, Any]
    begins: tuple[tuple[Ask | timedelta, ...], ...]
    asks: tuple[Ask, ...]


def always(command: object) -> Ask:
    """The same, whatever has happened."""
    return lambda _, now: command


T = TypeVar("T")


@st.composite
def many(draw: st.DrawFn, each: st.SearchStrategy[T], most: int) -> list[T]:
    """A list of which no length is likelier than another; hypothesis likes short ones better."""
    count = draw(st.integers(0, most))
    return draw(st.lists(each, min_size=count, max_size=count))


@st.composite
def lives(draw: st.DrawFn, stream: Stream, most: int = 25) -> list[Envelope[Event]]:
    """The records of a stream. Every command is staff's or not, which the envelopes of its events say."""
    step = st.tuples(st.sampled_from(stream.asks), st.sampled_from(GAPS), st.booleans())
    steps = draw(many(step, most))
    opening = [_begun(step) for step in draw(st.sampled_from(stream.begins))]
    recorded: list[Envelope[Event]] = []
    history: list[Event] = []
    now = T0
    for ask, gap, by_staff in [*opening, *steps]:
        now += gap
        for event in _decided(stream, ask, history, now):
            history.append(event)
            recorded.append(_in_envelope(stream.stream_id, event, len(history), now, by_staff=by_staff))
    return recorded


def _begun(step: Ask | timedelta) -> tuple[Ask, timedelta, bool]:
    return (always(None), step, False) if isinstance(step, timedelta) else (step, timedelta(minutes=1), False)


def _decided(stream: Stream, ask: Ask, history: Sequence[Event], now: datetime) -> list[Event]:
    command = ask(history, now)
    if command is None:
        return []
    state = stream.decider.state_after(history, stream.decider.initial)
    try:
        return stream.decider.decide(command, state, now)
    except Refusal:
        return []


def _in_envelope(stream_id: str, event: Event, version: int, at: datetime, *, by_staff: bool) -> Envelope[Event]:
    staff: dict[str, str] = {"clientaddress": "192.0.2.7", "change": '{"before":{},"after":{}}'} if by_staff else {}
    return envelope(
        event,
        id=f"{stream_id}/{version}",
        subject=stream_id,
        partitionkey=stream_id,
        sequence=version,
        time=at,
        recordedtime=at,
        principal="operator-1" if by_staff else "a1",
        **staff,
    )


@st.composite
def side_by_side(draw: st.DrawFn, *each: st.SearchStrategy[list[Envelope[Event]]]) -> list[Envelope[Event]]:
    """Several streams' records as one log has them: each in its order, among the others anyhow."""
    drawn = [draw(one) for one in each]
    turns = draw(st.permutations([number for number, life in enumerate(drawn) for _ in life]))
    places = [list(accumulate((turn == number for turn in turns), initial=0)) for number in range(len(drawn))]
    return [drawn[turn][places[turn][at]] for at, turn in enumerate(turns)]
