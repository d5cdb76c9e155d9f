"""The closed vocabularies of CMCD v2, and what each word means among our own events.

A record in event mode says nothing of the playhead; what it means feeds the session's timeline and its quality.
"""

from enum import StrEnum

from events.playback import (
    AdBreakEnded,
    AdBreakStarted,
    BitrateChanged,
    BufferingEnded,
    BufferingStarted,
    Completed,
    Failed,
    Heartbeat,
    Paused,
    Report,
    Resumed,
    Seeked,
    Started,
    Stopped,
)


class EventToken(StrEnum):
    """`e`: why a record was sent (CTA-5004-B, "Event")."""

    AD_BREAK_STARTED = "abs"
    AD_BREAK_ENDED = "abe"
    AD_STARTED = "as"
    AD_ENDED = "ae"
    AD_SKIPPED = "sk"
    BACKGROUNDED = "b"
    BITRATE_CHANGED = "bc"
    CONTENT_CHANGED = "c"
    CUSTOM = "ce"
    ERROR = "e"
    HOST_CHANGED = "h"
    MUTED = "m"
    UNMUTED = "um"
    EXPANDED = "pe"
    COLLAPSED = "pc"
    RATE_CHANGED = "pr"
    STATE_CHANGED = "ps"
    RESPONSE_RECEIVED = "rr"
    TIME = "t"


class PlayerState(StrEnum):
    """`sta`: what the player does (CTA-5004-B, "State")."""

    STARTING = "s"
    PLAYING = "p"
    SEEKING = "k"
    REBUFFERING = "r"
    PAUSED = "a"
    WAITING = "w"
    ENDED = "e"
    FATAL = "f"
    QUIT = "q"
    PRELOADING = "d"


class ObjectType(StrEnum):
    """`ot`, and what a measure of a list is about."""

    MANIFEST = "m"
    AUDIO = "a"
    VIDEO = "v"
    MUXED = "av"
    INIT = "i"
    CAPTION = "c"
    TIMED_TEXT = "tt"
    KEY = "k"
    OTHER = "o"


class StreamingFormat(StrEnum):
    """`sf`."""

    DASH = "d"
    HLS = "h"
    HESP = "e"
    SMOOTH = "s"
    OTHER = "o"


class StreamType(StrEnum):
    """`st`."""

    VOD = "v"
    LIVE = "l"
    LOW_LATENCY = "ll"


MEANS: dict[EventToken, type[Report] | None] = {
    EventToken.TIME: Heartbeat,
    EventToken.ERROR: Failed,
    EventToken.BITRATE_CHANGED: BitrateChanged,
    EventToken.AD_BREAK_STARTED: AdBreakStarted,
    EventToken.AD_BREAK_ENDED: AdBreakEnded,
    EventToken.AD_STARTED: AdBreakStarted,  # of one ad within a break: who counts breaks takes the first and the last
    EventToken.AD_ENDED: AdBreakEnded,
    EventToken.AD_SKIPPED: AdBreakEnded,
    EventToken.STATE_CHANGED: None,  # LEADS says it, by the state before
    EventToken.RESPONSE_RECEIVED: None,  # a measure; its `sta` is of the request's time (dash.js)
    EventToken.BACKGROUNDED: None,
    EventToken.CONTENT_CHANGED: None,
    EventToken.CUSTOM: None,
    EventToken.HOST_CHANGED: None,
    EventToken.MUTED: None,
    EventToken.UNMUTED: None,
    EventToken.EXPANDED: None,
    EventToken.COLLAPSED: None,
    EventToken.RATE_CHANGED: None,
}
"""Our event of each token; None: recorded as CMCD only."""

_S, _P, _K, _R = PlayerState.STARTING, PlayerState.PLAYING, PlayerState.SEEKING, PlayerState.REBUFFERING
_A, _E, _F, _Q = PlayerState.PAUSED, PlayerState.ENDED, PlayerState.FATAL, PlayerState.QUIT

LEADS: dict[tuple[PlayerState, PlayerState], type[Report] | None] = {
    # until the first frame nothing pauses, seeks or stalls: s->r (dash.js), s->a and s->k are startup
    (_S, _P): Started,
    (_P, _A): Paused, (_P, _R): BufferingStarted, (_P, _K): None,
    (_A, _P): Resumed, (_A, _K): None,
    (_R, _P): BufferingEnded, (_R, _A): Paused, (_R, _K): None,
    # seeking ends in play or in pause; k->r->p (hls.js) and k->w (dash.js) are the same seek
    (_K, _P): Seeked, (_K, _A): Seeked,
    (_S, _E): Completed, (_P, _E): Completed, (_A, _E): Completed, (_R, _E): Completed, (_K, _E): Completed,
    (_S, _F): Failed, (_P, _F): Failed, (_A, _F): Failed, (_R, _F): Failed, (_K, _F): Failed,
    (_S, _Q): Stopped, (_P, _Q): Stopped, (_A, _Q): Stopped, (_R, _Q): Stopped, (_K, _Q): Stopped,
    # e->a->e (Shaka) is one ending; only play or a seek goes on; nothing follows quitting
    (_E, _P): Resumed, (_E, _K): None, (_E, _Q): Stopped,
    (_F, _P): Resumed, (_F, _Q): Stopped,
}  # fmt: skip
"""Which change of state is which of our events. A pair that is not here changes nothing, and is not believed."""


def follow(phase: PlayerState, said: PlayerState) -> tuple[PlayerState, type[Report] | None]:
    """The phase after a player `said` its state, and our event of that, if any. A session begins in STARTING.

    Only a record whose `e` is `ps` says a state to follow, in the order of `sn`.
    """
    if (phase, said) not in LEADS:
        return phase, None
    return said, LEADS[phase, said]
