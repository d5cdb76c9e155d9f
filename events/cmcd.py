"""Common Media Client Data as Playhead keeps it: the record, its closed vocabularies, and what they mean among our own
reports (CTA-5004 v1, CTA-5004-B v2). Pure.

A record in event mode says nothing of the playhead (no player sends `pt`): what it means feeds a session's timeline and
its quality.
"""

import hashlib
from enum import StrEnum
from typing import Annotated, Final

import msgspec

Target = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9._-]{1,64}$")]
"""The name of one of a player's collectors: a player numbers what it sends to each of them apart."""


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


class Measure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A number of a list, in the key's unit; `of`: the kind of object that it is about, when said."""

    value: int
    of: ObjectType | None = None


class Hint(msgspec.Struct, frozen=True, omit_defaults=True):
    """An object that the player will ask for next; `r`: the range of its bytes, when said."""

    path: str
    r: str | None = None


class Other(msgspec.Struct, frozen=True):
    """A key that CMCD does not know (custom keys hold a hyphen), or a value unfit for its key; `value` as RFC 8941
    writes it.
    """

    key: str
    value: str


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a player said, by CMCD's own key names (bitrates in kbps, lengths and durations in ms, `ts` in ms since
    1970; each key's meaning: commands/playback/cmcd/keys.py).

    An absent flag is false, an absent list is empty. `others` are sorted by key. `mended`: where the player left the
    specification and was understood all the same (commands/playback/cmcd/deviations.py).
    """

    ab: tuple[Measure, ...] = ()
    bg: bool = False
    bl: tuple[Measure, ...] = ()
    br: tuple[Measure, ...] = ()
    bs: bool = False
    bsa: tuple[Measure, ...] = ()
    bsd: tuple[Measure, ...] = ()
    bsda: tuple[Measure, ...] = ()
    cdn: str | None = None
    cen: str | None = None
    cid: str | None = None
    cmsdd: str | None = None
    cmsds: str | None = None
    cs: str | None = None
    d: int | None = None
    dfa: int | None = None
    dl: int | None = None
    e: EventToken | None = None
    ec: tuple[str, ...] = ()
    h: str | None = None
    lab: tuple[Measure, ...] = ()
    lb: tuple[Measure, ...] = ()
    ltc: int | None = None
    msd: int | None = None
    mtp: tuple[Measure, ...] = ()
    nor: tuple[Hint, ...] = ()
    nr: bool = False
    nrr: str | None = None
    ot: ObjectType | None = None
    pb: tuple[Measure, ...] = ()
    pr: float | None = None
    pt: int | None = None
    rc: int | None = None
    rtp: int | None = None
    sf: StreamingFormat | None = None
    sid: str | None = None
    smrt: str | None = None
    sn: int | None = None
    st: StreamType | None = None
    sta: PlayerState | None = None
    su: bool = False
    tab: tuple[Measure, ...] = ()
    tb: tuple[Measure, ...] = ()
    tbl: tuple[Measure, ...] = ()
    tpb: tuple[Measure, ...] = ()
    ts: int | None = None
    ttfb: int | None = None
    ttfbb: int | None = None
    ttlb: int | None = None
    url: str | None = None
    v: int = 1
    others: tuple[Other, ...] = ()
    mended: tuple[str, ...] = ()

    def identity(self, target: str) -> str:
        """One text for (sid, target, sn, ts, e): the same for a record however often and in whatever batch it comes.

        Of a record that leaves out one of them (dash.js by default says only e, ts and v) it is made of all that it
        says: a resend repeats every byte, and two that say the same are taken for one.
        """
        if self.e is None or self.sid is None or self.sn is None or self.ts is None:
            whole = msgspec.structs.replace(self, mended=())  # what was mended may depend on the batch
            return _digest(msgspec.json.encode((target, whole)))
        return _digest(msgspec.json.encode((self.sid, target, self.sn, self.ts, self.e)))


def _digest(identified: bytes) -> str:
    return f"cmcd:{hashlib.blake2b(identified, digest_size=16).hexdigest()}"


class Means(StrEnum):
    """Our own report that a record stands for, by the `type` that reports say (events/playback.py)."""

    STARTED = "started"
    HEARTBEAT = "heartbeat"
    PAUSED = "paused"
    RESUMED = "resumed"
    SEEKED = "seeked"
    BUFFERING_STARTED = "buffering_started"
    BUFFERING_ENDED = "buffering_ended"
    BITRATE_CHANGED = "bitrate_changed"
    ERROR = "error"
    AD_BREAK_STARTED = "ad_break_started"
    AD_BREAK_ENDED = "ad_break_ended"
    COMPLETED = "completed"
    STOPPED = "stopped"


MEANS: Final[dict[EventToken, Means | None]] = {
    EventToken.TIME: Means.HEARTBEAT,
    EventToken.ERROR: Means.ERROR,
    EventToken.BITRATE_CHANGED: Means.BITRATE_CHANGED,
    EventToken.AD_BREAK_STARTED: Means.AD_BREAK_STARTED,
    EventToken.AD_BREAK_ENDED: Means.AD_BREAK_ENDED,
    EventToken.AD_STARTED: Means.AD_BREAK_STARTED,  # of one ad within a break: who counts takes the first and the last
    EventToken.AD_ENDED: Means.AD_BREAK_ENDED,
    EventToken.AD_SKIPPED: Means.AD_BREAK_ENDED,
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
"""Our report of each token; None: recorded as CMCD only."""

_S, _P, _K, _R = PlayerState.STARTING, PlayerState.PLAYING, PlayerState.SEEKING, PlayerState.REBUFFERING
_A, _E, _F, _Q = PlayerState.PAUSED, PlayerState.ENDED, PlayerState.FATAL, PlayerState.QUIT
_COMPLETED, _ERROR, _STOPPED = Means.COMPLETED, Means.ERROR, Means.STOPPED

LEADS: Final[dict[tuple[PlayerState, PlayerState], Means | None]] = {
    # until the first frame nothing pauses, seeks or stalls: s->r (dash.js), s->a and s->k are startup
    (_S, _P): Means.STARTED,
    (_P, _A): Means.PAUSED, (_P, _R): Means.BUFFERING_STARTED, (_P, _K): None,
    (_A, _P): Means.RESUMED, (_A, _K): None,
    (_R, _P): Means.BUFFERING_ENDED, (_R, _A): Means.PAUSED, (_R, _K): None,
    # seeking ends in play or in pause; k->r->p (hls.js) and k->w (dash.js) are the same seek
    (_K, _P): Means.SEEKED, (_K, _A): Means.SEEKED,
    (_S, _E): _COMPLETED, (_P, _E): _COMPLETED, (_A, _E): _COMPLETED, (_R, _E): _COMPLETED, (_K, _E): _COMPLETED,
    (_S, _F): _ERROR, (_P, _F): _ERROR, (_A, _F): _ERROR, (_R, _F): _ERROR, (_K, _F): _ERROR,
    (_S, _Q): _STOPPED, (_P, _Q): _STOPPED, (_A, _Q): _STOPPED, (_R, _Q): _STOPPED, (_K, _Q): _STOPPED,
    # e->a->e (Shaka) is one ending; only play or a seek goes on; nothing follows quitting
    (_E, _P): Means.RESUMED, (_E, _K): None, (_E, _Q): _STOPPED,
    (_F, _P): Means.RESUMED, (_F, _Q): _STOPPED,
}  # fmt: skip
"""Which change of state is which of our reports. A pair that is not here changes nothing, and is not believed."""


def follow(phase: PlayerState, said: PlayerState) -> tuple[PlayerState, Means | None]:
    """The phase after a player `said` its state, and our report of that, if any. A session begins in STARTING.

    Only a record whose `e` is `ps` says a state to follow, in the order of `sn`.
    """
    if (phase, said) not in LEADS:
        return phase, None
    return said, LEADS[phase, said]
