"""Which of the known players a session plays by: a closed list, so that what is counted by player stays bounded."""

from enum import StrEnum
from typing import Final

from events.playback import DeviceSnapshot


class Player(StrEnum):
    """A player as metrics name it. No key of CMCD names the player: the app said it when the session started."""

    HLSJS = "hls.js"
    DASHJS = "dash.js"
    SHAKA = "shaka"
    VIDEOJS = "video.js"
    EXOPLAYER = "exoplayer"
    AVPLAYER = "avplayer"
    OTHER = "other"
    UNSAID = "unsaid"


RESENDS_AT_GONE: Final = frozenset({Player.DASHJS})
"""Who takes 410 for an outage and sends its whole queue again at every event, raising an error in the page each time
(dash.js 5.2.1: its adapter loses the status). hls.js stops at 410; Shaka tries once more and drops the record.
"""
_BEGINNINGS: Final = {
    "hls": Player.HLSJS,
    "dash": Player.DASHJS,
    "shaka": Player.SHAKA,
    "video": Player.VIDEOJS,
    "exo": Player.EXOPLAYER,
    "media3": Player.EXOPLAYER,
    "avplayer": Player.AVPLAYER,
}


def player_of(device: DeviceSnapshot) -> Player:
    """The player that a device named."""
    if device.player is None:
        return Player.UNSAID
    named = device.player.lower()
    return next((player for beginning, player in _BEGINNINGS.items() if named.startswith(beginning)), Player.OTHER)
