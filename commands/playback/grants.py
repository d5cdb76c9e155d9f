"""What a playback token grants: signed when a session starts, and read off the token by every report of it."""

import msgspec

from events.playback import SessionSnapshot


class Grant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session, and on which terms it goes on without a look-up.

    `max_streams`: how many the account may play at a time; None: any number. `unchecked`: the leases were away when it
    started, so nobody counted them. `offline`: for a download, which takes no stream.
    """

    session: SessionSnapshot
    max_streams: int | None = None
    unchecked: bool = False
    offline: bool = False
