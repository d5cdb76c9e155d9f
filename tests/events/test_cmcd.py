"""What the words of CMCD mean among our own events."""

import pytest

from events.cmcd import LEADS, MEANS, EventToken, Means, PlayerState, follow
from events.playback import EVENT_OF
from tests.commands.playback.cmcd.recorded import recording, records


def told(states: str) -> list[str]:
    """The types of our events for a sequence of states."""
    phase, events = PlayerState.STARTING, []
    for state in states:
        phase, event = follow(phase, PlayerState(state))
        if event is not None:
            events.append(str(event))
    return events


def test_every_token_has_its_meaning_or_none() -> None:
    assert set(MEANS) == set(EventToken)
    assert len(EventToken) == 19
    assert {event for event in (*MEANS.values(), *LEADS.values()) if event is not None} == set(Means)


def test_every_meaning_is_a_report_of_ours() -> None:
    assert set(Means) <= {report.__struct_config__.tag for report in EVENT_OF}


@pytest.mark.parametrize(
    ("token", "name"),
    [
        ("t", "heartbeat"),
        ("e", "error"),
        ("bc", "bitrate_changed"),
        ("abs", "ad_break_started"),
        ("as", "ad_break_started"),
        ("abe", "ad_break_ended"),
        ("ae", "ad_break_ended"),
        ("sk", "ad_break_ended"),
    ],
)
def test_a_token_means_our_event(token: str, name: str) -> None:
    assert MEANS[EventToken(token)] == name


@pytest.mark.parametrize(
    ("states", "events"),
    [
        ("dsp", ["started"]),
        ("srp", ["started"]),  # dash.js: s -> r at start
        ("sakwp", ["started"]),
        ("spap", ["started", "paused", "resumed"]),
        ("sprp", ["started", "buffering_started", "buffering_ended"]),
        ("spra", ["started", "buffering_started", "paused"]),
        ("spkrp", ["started", "seeked"]),  # hls.js: k -> r -> p on each seek
        ("spkwp", ["started", "seeked"]),  # dash.js: k -> w
        ("spaka", ["started", "paused", "seeked"]),
        ("spwp", ["started"]),
        ("spae", ["started", "paused", "completed"]),  # dash.js: a, then e at the end
        ("speae", ["started", "completed"]),  # Shaka: e, a, e at the end
        ("spekp", ["started", "completed", "seeked"]),
        ("spep", ["started", "completed", "resumed"]),
        ("spfp", ["started", "error", "resumed"]),
        ("spqpaq", ["started", "stopped"]),
        ("sppp", ["started"]),
    ],
)
def test_states_become_our_events(states: str, events: list[str]) -> None:
    assert told(states) == events


@pytest.mark.parametrize("player", ["hlsjs-1.7.4-event-full", "dashjs-5.2.1-event-full"])
def test_a_real_session_starts_plays_and_completes_in_our_events(player: str) -> None:
    changes = {r.sn or 0: str(r.sta) for r in records(recording(player)) if r.e is EventToken.STATE_CHANGED and r.sta}
    events = told("".join(changes[sn] for sn in sorted(changes)))
    assert events[0] == "started"
    assert {"paused", "seeked", "buffering_started", "buffering_ended"} <= set(events)
