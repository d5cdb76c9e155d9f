"""From records to the events that go to Kafka: modes, identities, and whose clock is believed."""

from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from commands.playback.cmcd.observing import observe, progress_of
from commands.playback.cmcd.players import Player, player_of
from commands.playback.leases.progress import NOTHING, Motion
from events.cmcd import EventToken, Measure, Other, PlayerState, Record
from events.envelope import Context, Recorded
from events.playback import Observed, PlaybackCmcdReported, PlaybackCmcdRequested
from events.registry import REGISTRY
from tests import builders
from tests.builders import EVENING, cmcd_record
from tests.commands.playback.cmcd.recorded import recording, records

SLACK: Final = timedelta(minutes=5)
NOW: Final = EVENING + timedelta(hours=1)
CONTEXT: Final = Context(correlation_id="correlation-1", principal="profile-1")


def observed(*said: Record, target: str = "ours", received_at: datetime = NOW) -> list[Recorded[Any]]:
    """The events of records, as readers get them."""
    bodies = observe(said, builders.session(), CONTEXT, target=target, received_at=received_at, slack=SLACK)
    return [REGISTRY.decode(body) for body in bodies]


def ids(*said: Record, **how: Any) -> list[str]:
    return [event.envelope.id for event in observed(*said, **how)]


def at(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000)


def test_a_record_with_an_event_is_reported_and_one_without_was_requested() -> None:
    reported, requested = observed(cmcd_record(), Record(br=(Measure(5),)))
    assert isinstance(reported.data, PlaybackCmcdReported)
    assert isinstance(requested.data, PlaybackCmcdRequested)
    assert (reported.envelope.subject, reported.envelope.partitionkey) == ("session-1", "profile-1")
    assert reported.data.target == "ours"


def test_a_record_is_kept_complete() -> None:
    said = cmcd_record(others=(Other("com.example-q", '"a"'),), mended=("quoting",), url="https://cdn/1.m4s?token=x")
    [event] = observed(said)
    assert event.data.record == said


def test_an_event_happened_when_its_player_says() -> None:
    [event] = observed(cmcd_record(3))
    assert event.envelope.time == EVENING + timedelta(seconds=30)
    assert event.envelope.recordedtime == NOW
    assert not event.data.time_adjusted


def test_a_clock_that_cannot_be_right_is_not_believed_and_its_word_is_kept() -> None:
    wrong = [at(EVENING - SLACK) - 1, at(NOW + SLACK) + 1, 0, 10**15 - 1]
    for event, ts in zip(observed(*(cmcd_record(ts=ts) for ts in wrong)), wrong, strict=True):
        assert event.envelope.time == NOW
        assert event.data.time_adjusted
        assert event.data.record.ts == ts
    believed = [at(EVENING - SLACK), at(NOW + SLACK)]
    assert not any(event.data.time_adjusted for event in observed(*(cmcd_record(ts=ts) for ts in believed)))


def test_a_record_without_a_time_happened_when_it_came() -> None:
    [event] = observed(Record(br=(Measure(5),)))
    assert event.envelope.time == NOW
    assert not event.data.time_adjusted


def test_a_resend_is_the_same_event_whenever_and_in_whatever_batch_it_comes() -> None:
    first, second = cmcd_record(0), cmcd_record(1)
    assert ids(first, second) == [*reversed(ids(second, first, received_at=NOW + SLACK))]
    assert ids(first) != ids(first, target="theirs")
    assert ids(first)[0].startswith("session-1:cmcd:")


def test_an_event_without_a_number_is_known_again_by_all_that_it_says() -> None:
    said = Record(e=cmcd_record().e, ts=at(EVENING), v=2)
    assert ids(said) == ids(said, received_at=NOW + SLACK)


def test_two_requests_that_say_the_same_are_two() -> None:
    said = Record(br=(Measure(5),), sid="player-1")
    assert len({*ids(said, said), *ids(said, received_at=NOW + SLACK)}) == 3


def test_a_number_that_begins_again_in_a_session_is_another_event() -> None:
    """Shaka begins again at 0, under the same sid, whenever it is configured."""
    assert ids(cmcd_record(0)) != ids(cmcd_record(0, ts=at(EVENING) + 1))


def test_every_recorded_resend_is_one_event() -> None:
    sent = records(recording("hlsjs-1.7.4-event-503-recover"))
    assert len(set(ids(*sent))) == len({record.sn for record in sent}) < len(sent)


def test_every_event_names_its_session() -> None:
    for event in observed(cmcd_record(), Record()):
        assert isinstance(event.data, Observed)
        assert event.data.session == builders.session()


@pytest.mark.parametrize(
    ("states", "motion"),
    [
        ([], Motion.UNSAID),
        (["t:p"], Motion.PLAYS),
        (["ps:p", "ps:a"], Motion.PAUSED),
        (["ps:a", "t:r", "rr:p"], Motion.PAUSED),
        (["ps:r", "b:p"], Motion.UNSAID),
    ],
)
def test_a_record_says_to_the_lease_whether_the_session_plays(states: list[str], motion: Motion) -> None:
    said = [state.split(":") for state in states]
    sent = [cmcd_record(n, e=EventToken(e), sta=PlayerState(sta)) for n, (e, sta) in enumerate(said)]
    assert progress_of(sent[::-1]) == NOTHING._replace(motion=motion)


def test_players_are_counted_under_few_names() -> None:
    named = {
        "hls.js 1.7.4": Player.HLSJS,
        "Dash.js": Player.DASHJS,
        "shaka-player": Player.SHAKA,
        "x" * 90: Player.OTHER,
    }
    assert {name: player_of(builders.device(player=name)) for name in named} == named
    assert player_of(builders.device()) is Player.UNSAID
