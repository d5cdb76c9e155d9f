"""The state of a stream as of a cut is the state that its decider had then."""

from collections import defaultdict
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from audits.as_of.cuts import Cut, Fact
from audits.as_of.streams import StreamUnknown, decider_of, plain, stream_as_of
from events.envelope import Envelope, Event
from events.topics import CATALOG, IDENTITY, OPERATIONS, SUBSCRIPTION
from infra.settings import Settings
from tests.audits.as_of.told import facts
from tests.builders import movie_published
from tests.projections.generated import HISTORIES

SETTINGS = Settings()
DECIDED = [topic.name for topic in (CATALOG, IDENTITY, OPERATIONS, SUBSCRIPTION)]
MOMENT = timedelta(microseconds=1)
made_up = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def by_stream(events: list[Envelope[Event]]) -> dict[str, list[Envelope[Event]]]:
    streams: dict[str, list[Envelope[Event]]] = defaultdict(list)
    for event in events:
        streams[event.subject].append(event)
    return streams


def states_of(stream: str, told: list[Fact]) -> list[Any]:
    """What the state was before each event, and after the last."""
    decider = decider_of(stream, SETTINGS)
    states = [decider.initial]
    for fact in told:
        states.append(decider.evolve(states[-1], fact.recorded.data))
    return [plain(state) for state in states]


@pytest.mark.parametrize("topic", DECIDED)
@made_up
@given(data=st.data())
def test_any_stream_at_any_time_is_what_it_was_then(topic: str, data: Any) -> None:
    for stream, events in by_stream(data.draw(HISTORIES[topic])).items():
        told, states = facts(topic, events), states_of(stream, facts(topic, events))
        for count, fact in enumerate(told):
            known = stream_as_of(stream, told, Cut(known_at=fact.history_time), SETTINGS)
            same_moment = sum(other.history_time <= fact.history_time for other in told)
            assert known.state == states[same_moment]
            assert [event.id for event in known.events] == [one.recorded.envelope.id for one in told[:same_moment]]
            assert stream_as_of(stream, told, Cut(), SETTINGS, at_version=count + 1).state == states[count + 1]
            reached = stream_as_of(stream, told, Cut(positions=(fact.position,)), SETTINGS)
            assert (reached.state, reached.later) == (states[count + 1], len(told) - count - 1)
        before = stream_as_of(stream, told, Cut(known_at=told[0].history_time - MOMENT), SETTINGS)
        assert (before.version, before.state, before.events) == (0, states[0], ())


@pytest.mark.parametrize("stream", ["playback.session-1", "subscription.account-", "nothing", ""])
def test_what_is_no_stream_is_refused_with_the_names_of_those_there_are(stream: str) -> None:
    with pytest.raises(StreamUnknown, match=r"subscription\.account-"):
        decider_of(stream, SETTINGS)


def test_an_answer_names_who_did_what_when_and_where() -> None:
    published = replace(movie_published("heat"), principal="editor-1")
    [event] = stream_as_of(published.subject, facts(CATALOG.name, [published]), Cut(), SETTINGS).events
    assert (event.id, event.type, event.actor) == (published.id, published.type, published.principal)
    assert (event.time, event.recorded_time, event.place) == (
        published.time,
        published.recordedtime,
        "catalog.events:0:0",
    )
