"""What the API acknowledged: the demo's own account, which every view is held against at the end."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from infra.positions import Position
from playhead.demo.watching.sitting import Device, Moment, Title


@dataclass
class AcknowledgedSession:
    """A session that was granted, and its events that were acknowledged, each once, by seq. `terminated`: somebody
    ended it from elsewhere."""

    session_id: str
    profile_id: str
    title: Title
    device: Device
    start_position_ms: int
    number: int
    moments: dict[int, Moment] = field(default_factory=dict)
    terminated: bool = False

    @property
    def event_count(self) -> int:
        """Distinct events, the grant included."""
        return len(self.moments) + 1

    @property
    def last_position_ms(self) -> int:
        """Where the highest seq left the playhead."""
        return self.moments[max(self.moments)].position_ms if self.moments else self.start_position_ms


@dataclass
class Ledger:
    """All that was acknowledged, and how often the API was asked for it.

    `positions`: the last one of each partition, to wait for. `refused`: what should have been taken and was not, with
    the reason. `walls`: what should have been refused and was, by what it was.
    """

    sessions: dict[str, AcknowledgedSession] = field(default_factory=dict)
    positions: dict[tuple[str, int], Position] = field(default_factory=dict)
    reports: int = 0
    acknowledged: int = 0
    resent: int = 0
    refused: list[str] = field(default_factory=list)
    manners: Counter[str] = field(default_factory=Counter)
    walls: Counter[str] = field(default_factory=Counter)

    def grant(self, session: AcknowledgedSession) -> None:
        """A session was started."""
        self.sessions[session.session_id] = session
        self.acknowledged += 1

    def acknowledge(self, session: AcknowledgedSession, moments: Iterable[Moment]) -> None:
        """Events were taken in; those that were before count once."""
        before = len(session.moments)
        session.moments.update({moment.seq: moment for moment in moments})
        self.acknowledged += len(session.moments) - before

    def reach(self, positions: Iterable[Position]) -> None:
        """The API said where it wrote."""
        for position in positions:
            place = (position.topic, position.partition)
            known = self.positions.get(place)
            if known is None or position.position > known.position:
                self.positions[place] = position

    def profiles(self) -> list[str]:
        """Who watched."""
        return sorted({session.profile_id for session in self.sessions.values()})

    def of_profile(self, profile_id: str) -> list[AcknowledgedSession]:
        """A profile's sessions, in the order in which they were granted."""
        mine = (session for session in self.sessions.values() if session.profile_id == profile_id)
        return sorted(mine, key=lambda session: session.number)
