"""What is signed out, in Redis: tokens of these sign-ins and devices are refused though they have not run out.

Both APIs poll the names of the hash's fields, so it holds no more than tokens can still speak for.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from events.envelope import Event, Recorded
from events.identity import DeviceRemoved, SignedOut
from events.topics import IDENTITY
from projections.views import HashView, Shelf

EVERYONE: Final = "all"
"""In place of a profile: there is one hash, for all."""
CLOCKS_APART_S: Final = 60
"""How much longer a row is kept: Redis's clock, by which it goes, may be ahead of the one that tokens run out by."""


class TokenLifetimes(msgspec.Struct, frozen=True):
    """How long tokens are good for. `access_s`: those of a sign-in. `playback_s`: those of a session on a device."""

    access_s: int
    playback_s: int


class Revoked(msgspec.Struct, frozen=True):
    """A row. `until`: when the last token has run out that names it, so that it need not be kept any longer."""

    until: datetime


class RevokedSignIns(HashView[Revoked]):
    """Sign-ins that ended, for whatever reason, and devices that were removed.

    The hash lives as long as the longest token after its last change, which covers both kinds; each row goes at its
    own time.
    """

    name = "identity_revoked"
    row = Revoked
    topics = (IDENTITY,)
    events = (SignedOut, DeviceRemoved)
    rows_pass = True

    def __init__(self, lifetimes: TokenLifetimes, *, most_rows: int) -> None:
        self._lifetimes = lifetimes
        self.most_rows = most_rows
        self.ttl_s = max(lifetimes.access_s, lifetimes.playback_s) + CLOCKS_APART_S

    def updated_at(self, row: Revoked) -> datetime:
        """When it may go; of too many, those go first that would go soonest."""
        return row.until

    def key(self, recorded: Recorded[Event]) -> Shelf:
        """The sign-in or the device, in the one hash."""
        match recorded.data:
            case SignedOut(sign_in_id=sign_in_id):
                return Shelf(EVERYONE, f"sign_in:{sign_in_id}")
            case DeviceRemoved(device_id=device_id):
                return Shelf(EVERYONE, f"device:{device_id}")
            case event:
                raise TypeError(event)

    def project(self, row: Revoked | None, recorded: Recorded[Event]) -> Revoked | None:
        """The end of a sign-in or a device is the last of it."""
        lasts_s = self._lifetimes.access_s if isinstance(recorded.data, SignedOut) else self._lifetimes.playback_s
        return Revoked(recorded.envelope.time + timedelta(seconds=lasts_s + CLOCKS_APART_S))
