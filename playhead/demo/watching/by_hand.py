"""A sitting that a scene plays by hand, a report at a time."""

from collections.abc import Sequence
from itertools import count

from playhead.demo.api import Reply, Ticket
from playhead.demo.ledger import AcknowledgedSession
from playhead.demo.people.signing import SignIn
from playhead.demo.watching.films import SECOND_MS
from playhead.demo.watching.player import GONE, OK, Viewer
from playhead.demo.watching.sitting import Act, Device, Leaving, Moment, Title


class Watching:
    """A sitting that is played a report at a time."""

    def __init__(self, viewer: Viewer, session: AcknowledgedSession, token: Ticket) -> None:
        self._viewer = viewer
        self._session = session
        self._token = token
        self._began_ms = viewer.now_ms
        self._seqs = count()

    @classmethod
    async def begin(
        cls, viewer: Viewer, app: SignIn, act: Act, *, unlocked: Ticket | None = None, terminate: Sequence[str] = ()
    ) -> "Watching":
        """Raises Refused, NotTaken."""
        session, reply = await viewer.ask_to_start(act, app, unlocked=unlocked, terminate=terminate)
        return cls(viewer, session, viewer.granted(session, reply))

    async def go_on(self) -> Reply:
        """One report of one more second; what it acknowledges is noted. Raises NotTaken."""
        seq = next(self._seqs)
        moment = Moment(seq, self._began_ms + seq * SECOND_MS, "heartbeat" if seq else "started", seq * SECOND_MS)
        reply = await self._viewer.ask_to_report(self._session, self._token, [moment])
        if reply.status == OK or (reply.refuses(GONE, "session-terminated") and "results" in reply.json()):
            self._viewer.take_in(self._session, [moment], reply)
        return reply

    async def end_from(self, app: SignIn) -> None:
        """Somebody of the account ends it from another device. Raises Refused, NotTaken."""
        await self._viewer.end(self._session, app)


def watched_on(title: Title, device: Device) -> Act:
    """Somebody who sets out to watch all of a title."""
    return Act(title, device, 0, title.duration_ms, Leaving.WALKED_AWAY)
