"""What a session's summary must be, from what really happened: slow, plain, and unaware of the code under test.

Of a session the server can know what its player told up to the last event that arrived. Where nothing before that is
missing, the truth is what was on the screen until then. Where a report never came, nobody can know what it said: there
the rules of docs/measures.md say what is concluded from its neighbours (reading.py).
"""

from datetime import datetime

from tests.players.reading import reading, said
from tests.players.server import Heard
from tests.players.summary import Measures, Summary, average, union
from tests.players.world import Doing


def summary_of(heard: Heard) -> Summary:
    """The summary of a session, of which this was heard."""
    sitting = heard.sitting
    last = max(heard.known, default=None)
    measured = truth(heard) if is_whole(heard) else reading(heard)
    state, reason, ended_at = _outcome(heard, measured)
    stalled_ms, playing_ms = measured.stalled_ms, measured.playing_ms
    return Summary(
        state=state,
        exit_reason=reason,
        ended_at=ended_at,
        exited_before_video=reason is not None and not measured.shown,
        event_count=1 + len(heard.known),
        position_ms=sitting.from_ms if last is None else sitting.told[last].position_ms,
        last_at=sitting.session.started_at if last is None else heard.known[last],
        watched=measured.watched,
        watched_ms=measured.watched_ms,
        completion=min(1.0, measured.watched_ms / sitting.session.title.duration_ms),
        playing_ms=playing_ms,
        ad_ms=measured.ad_ms,
        stall_count=measured.stall_count,
        stalled_ms=stalled_ms,
        rebuffering_ratio=stalled_ms / (stalled_ms + playing_ms) if stalled_ms + playing_ms else None,
        average_bitrate_kbps=measured.bitrate_kbps,
        startup_ms=measured.startup_ms,
        error_count=measured.error_count,
        fatal_error_code=measured.fatal_error_code,
        dropped_frames=measured.dropped_frames,
    )


def is_whole(heard: Heard) -> bool:
    """Whether nothing is missing before the last event that is known, nor came too late."""
    return len(heard.measured()) == max(heard.known, default=-1) + 1


def truth(heard: Heard) -> Measures:
    """What was on the screen until the last event that is known."""
    told = [heard.sitting.told[seq] for seq in sorted(heard.known)]
    until_ms = told[-1].at_ms if told else -1
    seen = [stretch for stretch in heard.sitting.screen.stretches if stretch.end_ms <= until_ms]
    stalls = [each for each in told if each.type == "buffering_started" and each.lack == "stall" and not each.in_ad]
    return Measures(
        mode=told[-1].doing if told else Doing.STARTING,
        watched=union((stretch.from_ms, stretch.to_ms) for stretch in seen if stretch.shows_title),
        playing_ms=sum(stretch.played_ms for stretch in seen),
        ad_ms=sum(stretch.lasted_ms for stretch in seen if stretch.in_ad),
        stall_count=len(stalls),
        stalled_ms=sum(stretch.stalled_ms for stretch in seen),
        bitrate_kbps=average(
            (stretch.bitrate_kbps, stretch.played_ms) for stretch in seen if stretch.bitrate_kbps is not None
        ),
        startup_ms=min(said(told, "startup_ms"), default=None),
        shown=any(each.type == "started" for each in told),
        error_count=sum(each.type == "error" for each in told),
        fatal_error_code=next((str(each.facts["code"]) for each in told if each.facts.get("fatal")), None),
        dropped_frames=max(said(told, "dropped_frames"), default=None),
        ending=next(((each.seq, each.type) for each in told if each.ends), None),
    )


def _outcome(heard: Heard, measured: Measures) -> tuple[str, str | None, datetime | None]:
    """State, exit reason and end: what comes first of the player's own end and an end from outside stays."""
    ending = measured.ending
    if heard.closings and not heard.ended_before:
        how, at = next(iter(heard.closings.items()))
        return how, how, at
    if ending is None:
        return measured.mode, None, None
    return Doing.OVER, ending[1], heard.known[ending[0]]
