"""What players tell of an evening, as it reaches the topic: sessions of two profiles on three titles, with every report
that there is, what comes twice, late or in another order, what ends a session from outside, CMCD, and what viewers take
out of sight.

`evenings` has whole players with screens and a network (tests/players); `sittings` says anything that a player can,
sensible or not, which reaches further.
"""

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any, Final

from hypothesis import strategies as st
from msgspec.structs import replace

from events import playback as p
from events.cmcd import EventToken, Measure, PlayerState
from events.envelope import Envelope, Event
from events.playback import SessionSnapshot
from events.registry import REGISTRY
from projections.playback.playback_sessions import PlaybackSessions
from tests.builders import (
    EVENING,
    MINUTE_MS,
    cmcd_record,
    cmcd_reported,
    cmcd_requested,
    continue_watching_hidden,
    device,
    episode,
    movie,
    playback_expired,
    playback_started,
    playback_terminated,
    reported,
    session,
    watch_history_removed,
)
from tests.players.dice import clocks, throw
from tests.players.evening import Evening
from tests.players.server import EVERYTHING, Server
from tests.projections.generated.lives import many

THROWS_MOST: Final = 120
TITLES: Final = (
    movie("heat", duration_ms=100 * MINUTE_MS),
    movie("clip", duration_ms=2 * MINUTE_MS, credits_start_ms=None),
    episode(1, duration_ms=12 * MINUTE_MS),
    episode(2, duration_ms=12 * MINUTE_MS, next_title_id=None),
)
STARTS: Final = tuple(timedelta(minutes=minutes) for minutes in (0, 1, 59, 300, 24 * 60))
"""Of sessions after EVENING, so that some share a minute, an hour or a day, and some do not."""
SAID: Final[dict[type[p.Report], dict[str, Any]]] = {
    **{report: {} for report in p.EVENT_OF},
    p.Started: {"startup_ms": 800},
    p.BufferingEnded: {"stalled_ms": 1_700},
    p.BitrateChanged: {"bitrate_kbps": 2_500},
    p.QualityChanged: {"rendition": "720p"},
    p.Seeked: {"from_ms": 9_000},
    p.Failed: {"code": "E1"},
}
OFTEN: Final[tuple[type[p.Report], ...]] = (p.Started, *(p.Heartbeat,) * 12, *SAID)
PASSED_S: Final = (-60.0, 0.0, 0.5, 10.0, 10.0, 10.0, 60.0, 3_600.0)
MOVED_S: Final = (-30.0, 0.0, 0.5, 10.0, 10.0, 10.0, 60.0, 700.0)
EXTRAS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {},
    {"rate": 1.5},
    {"bitrate_kbps": 6_000},
    {"cdn": "north", "cdn_edge": "icn-2"},
    {"cdn": "south"},
    {"dropped_frames": 7},
)
TWICE: Final = 0.15
LATE: Final = (0, 0, 0, 2, 10, 100)
"""By how many records."""
OF_CMCD: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"br": (Measure(3_200),)},
    *({"e": EventToken.STATE_CHANGED, "sta": state} for state in PlayerState),
    {"e": EventToken.RESPONSE_RECEIVED, "url": "https://cdn.example/v1/seg-1.m4s?token=x", "rc": 404},
    {"e": EventToken.ERROR, "ec": ("E9",)},
)


def histories() -> st.SearchStrategy[list[Envelope[Event]]]:
    """Records of playback.events."""
    return st.one_of(sittings(), evenings())


@st.composite
def evenings(draw: st.DrawFn) -> list[Envelope[Event]]:
    """An evening of whole players, thrown by dice: nothing of it is made smaller but how long it lasts."""
    dice = Random(draw(st.integers(0, 2**32)))
    server = Server(PlaybackSessions(reorder_window=EVERYTHING))
    evening = Evening(clocks(dice), server)
    for _ in range(draw(st.integers(0, THROWS_MOST))):
        throw(evening, dice)
    return [_envelope_of(body) for body in server.log]


def _envelope_of(body: bytes) -> Envelope[Event]:
    recorded = REGISTRY.decode(body)
    return replace(recorded.envelope, data=recorded.data)  # type: ignore[arg-type]  # bytes of data for the data itself


@st.composite
def sittings(draw: st.DrawFn, *, most_sessions: int = 4) -> list[Envelope[Event]]:
    """What a household's sessions say, as it arrives, and what becomes of them."""
    sessions = [draw(snapshots(number)) for number in range(draw(st.integers(1, most_sessions)))]
    told = [event for of in sessions for event in draw(_sitting(of))]
    if draw(st.booleans()):
        told = _arriving(told, Random(draw(st.integers(0, 2**32))))
    for decided in draw(st.lists(_decided(sessions), max_size=3)):
        _insert(told, decided, draw(st.integers(0, len(told))))
    return told


def _arriving(told: Sequence[Envelope[Event]], dice: Random) -> list[Envelope[Event]]:
    """As it arrives over a bad network: most within a few records of where it belongs, some much later, some twice."""
    copies = [(place, event) for place, event in enumerate(told) for _ in range(1 + (dice.random() < TWICE))]
    late = sorted((place + dice.choice(LATE), number) for number, (place, _) in enumerate(copies))
    return [copies[number][1] for _, number in late]


@st.composite
def _decided(draw: st.DrawFn, sessions: Sequence[SessionSnapshot]) -> Envelope[Event]:
    """What Playhead or a viewer decided."""
    of = draw(st.sampled_from(sessions))
    at = of.started_at + timedelta(minutes=draw(st.sampled_from((5, 90))))
    hidden = continue_watching_hidden(of.title.series_id or of.title.title_id, at=at)
    decided = (playback_expired(of, at=at), playback_terminated(of, at=at), watch_history_removed(of, at=at), hidden)
    return draw(st.sampled_from(decided))


def _insert(told: list[Envelope[Event]], decided: Envelope[Event], place: int) -> None:
    """Anywhere; what is taken out of a history is in it by then."""
    event = decided.data
    if isinstance(event, p.WatchHistoryRemoved):
        seen = [at for at, each in enumerate(told) if each.subject == event.session_id]
        place = max(place, seen[0] + 1)
    told.insert(place, decided)


@st.composite
def snapshots(draw: st.DrawFn, number: int) -> SessionSnapshot:
    """A session of one of two profiles."""
    return session(
        f"session-{number}",
        profile_id=draw(st.sampled_from(("profile-1", "profile-2"))),
        title=draw(st.sampled_from(TITLES)),
        started_at=EVENING + draw(st.sampled_from(STARTS)),
        device=device(draw(st.sampled_from(("tv-1", "phone-1"))), app_version=draw(st.sampled_from((None, "8.4")))),
    )


@st.composite
def _sitting(draw: st.DrawFn, of: SessionSnapshot) -> list[Envelope[Event]]:
    """What one session says, in its order."""
    granted: dict[str, Any] = {"territory": draw(st.sampled_from((None, "KR", "DE"))), "offline": draw(st.booleans())}
    return [playback_started(of, **granted), *draw(reports(of)), *draw(_cmcd(of))]


@st.composite
def reports(draw: st.DrawFn, of: SessionSnapshot, most: int = 25) -> list[Envelope[Event]]:
    """What its player reports, in the order of seq."""
    at_s, position_s = 0.0, 0.0
    told: list[Envelope[Event]] = []
    for seq, said in enumerate(draw(many(st.sampled_from(OFTEN), most))):
        at_s += draw(st.sampled_from(PASSED_S))
        position_s = max(0.0, position_s + draw(st.sampled_from(MOVED_S)))
        values = SAID[said] | draw(st.sampled_from(EXTRAS))
        if said is p.Failed:
            values["fatal"] = draw(st.booleans())
        time = of.started_at + timedelta(seconds=at_s)
        told.append(reported(said, seq, of=of, time=time, position_ms=round(position_s * 1000), **values))
    return told


@st.composite
def _cmcd(draw: st.DrawFn, of: SessionSnapshot) -> list[Envelope[Event]]:
    said = draw(st.lists(st.sampled_from(OF_CMCD), max_size=4))
    records = [cmcd_reported(cmcd_record(sn, **keys), of=of) for sn, keys in enumerate(said)]
    return [*records, cmcd_requested(of=of)] if draw(st.booleans()) else records
