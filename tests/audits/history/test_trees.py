"""What followed from what, of any events: each shown once, below its cause, and what is odd is said."""

from hypothesis import given
from hypothesis import strategies as st

from audits.history.events import HistoryEvent
from audits.history.trees import AGAIN, CYCLE, Branch, missing_causes, trees
from audits.sources import Source
from infra.archive.records import Attributes


def event(event_id: str | None, cause: str | None = None, *, offset: int = 0, about: str = "r") -> HistoryEvent:
    attributes = Attributes(id=event_id, causationid=cause, correlationid=about)
    return HistoryEvent(Source.KAFKA, "playback.events", 0, offset, None, 0, None, b"", attributes)


def told(branches: list[Branch]) -> list[tuple[int, str | None, str | None]]:
    return [(branch.depth, branch.event.id, branch.note) for branch in branches]


def test_effects_stand_below_their_cause_in_the_order_of_history() -> None:
    events = [event("a"), event("b", "a"), event("other"), event("c", "b"), event("d", "a")]
    assert told(trees(events)) == [(0, "a", None), (1, "b", None), (2, "c", None), (1, "d", None), (0, "other", None)]


def test_an_effect_that_was_recorded_before_its_cause_stands_below_it() -> None:
    assert told(trees([event("b", "a"), event("a")])) == [(0, "a", None), (1, "b", None)]


def test_a_cause_that_is_not_there_is_named() -> None:
    events = [event("b", "gone"), event("c", "b")]
    assert told(trees(events)) == [(0, "b", "follows from gone, which is not here"), (1, "c", None)]
    assert missing_causes(events) == ["gone"]


def test_a_cycle_is_cut_open_and_named() -> None:
    events = [event("a", "c"), event("b", "a"), event("c", "b"), event("d", "c"), event("self", "self")]
    assert told(trees(events)) == [
        (0, "a", CYCLE),
        (1, "b", CYCLE),
        (2, "c", CYCLE),
        (3, "d", None),
        (0, "self", CYCLE),
    ]


def test_an_event_that_came_again_is_shown_beside_itself() -> None:
    assert told(trees([event("a"), event("a", offset=1), event("b", "a")])) == [
        (0, "a", None),
        (0, "a", AGAIN),
        (1, "b", None),
    ]


def test_of_another_correlation_it_is_said() -> None:
    assert told(trees([event("a", about="before"), event("b", "a")], about="r")) == [
        (0, "a", "of another correlation, before"),
        (1, "b", None),
    ]


def test_a_chain_as_long_as_a_stream_is_no_trouble() -> None:
    chain = [event(str(number), str(number - 1)) for number in range(20_000)]
    assert [branch.depth for branch in trees(chain)] == [*range(20_000)]


names = st.integers(0, 12).map(str)


@given(st.lists(st.tuples(st.none() | names, st.none() | names), max_size=30))
def test_whatever_names_whatever_as_its_cause_each_event_is_shown_once(
    given_: list[tuple[str | None, str | None]],
) -> None:
    events = [event(each, cause, offset=offset) for offset, (each, cause) in enumerate(given_)]
    branches = trees(events)
    shown = [branch.event.offset for branch in branches]
    assert {*shown} == {each.offset for each in events if each.id is not None} and len({*shown}) == len(shown)
    for place, branch in enumerate(branches):
        above = [each for each in branches[:place] if each.depth < branch.depth]
        if branch.depth:
            assert above[-1].depth == branch.depth - 1
            if branch.note != AGAIN:
                cause = next(each for each in reversed(above) if each.depth == branch.depth - 1)
                assert cause.event.id == branch.event.causation_id
        elif branch.note is None:
            assert branch.event.causation_id is None
