"""What CMCD says of a session: it tells how the session stands while its player reports nothing else. Pure."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias
from zlib import crc32

import msgspec
from msgspec.structs import replace

from events.cmcd import EventToken, PlayerState, Record, follow

State: TypeAlias = Literal["starting", "playing", "paused", "buffering", "ended"]
ExitReason: TypeAlias = Literal["completed", "stopped", "error"]

MOST_REMEMBERED: Final = 128
"""Records of a session that are told from their resends: some have no number, some players begin theirs again."""

STATES: Final[Mapping[PlayerState, State]] = {
    PlayerState.PLAYING: "playing",
    PlayerState.PAUSED: "paused",
    PlayerState.REBUFFERING: "buffering",
    PlayerState.ENDED: "ended",
    PlayerState.FATAL: "ended",
    PlayerState.QUIT: "ended",
}
"""The session's state in a phase; the others (seeking) leave it as it is."""
EXITS: Final[Mapping[PlayerState, ExitReason]] = {
    PlayerState.ENDED: "completed",
    PlayerState.FATAL: "error",
    PlayerState.QUIT: "stopped",
}


class Heard(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The records of a session so far. `phase`: by the player's state changes in the order of (ts, sn), which is that
    of `last`; a number alone does not order them, as Shaka begins again at 0. `recent`: checksums of the newest ids.
    """

    phase: PlayerState = PlayerState.STARTING
    last: tuple[int, int] = (-1, -1)
    has_played: bool = False
    recent: tuple[int, ...] = ()


def hear(before: Heard, record: Record, record_id: str) -> Heard | None:
    """What was heard after one more record; None when it was heard before."""
    checksum = crc32(record_id.encode())
    if checksum in before.recent:
        return None
    heard = replace(before, recent=(*before.recent, checksum)[-MOST_REMEMBERED:])
    if record.e is not EventToken.STATE_CHANGED or record.sta is None:
        return heard
    place = (before.last[0] if record.ts is None else record.ts, -1 if record.sn is None else record.sn)
    if place < before.last:
        return heard
    phase, _ = follow(before.phase, record.sta)
    return replace(heard, phase=phase, last=place, has_played=before.has_played or phase is PlayerState.PLAYING)
