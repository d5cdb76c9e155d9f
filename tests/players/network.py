"""The network between players and server: reports in flight, which arrive late, twice, out of order, or never."""

from dataclasses import dataclass, field

from tests.players.player import Sitting


@dataclass(frozen=True, slots=True)
class Parcel:
    """A report under way. `sent_ms`: true time; `seqs`: the events in it, in its order."""

    sitting: Sitting
    body: bytes
    sent_ms: int
    seqs: tuple[int, ...]


@dataclass
class Network:
    """What is in flight, oldest first, until it is taken out: nothing arrives by itself."""

    in_flight: list[Parcel] = field(default_factory=list)

    def send(self, sitting: Sitting, now_ms: int, *, only_new: bool, most: int, backwards: bool) -> None:
        """Send from a player's queue, the oldest first: all that is not acknowledged, or only what was never sent.

        `backwards`: the report holds its events the other way round.
        """
        events = [told for told in sitting.queue if told.seq > sitting.sent or not only_new][:most]
        if not events:
            return
        sitting.sent = max(sitting.sent, events[-1].seq)
        in_order = events[::-1] if backwards else events
        seqs = tuple(told.seq for told in in_order)
        self.in_flight.append(Parcel(sitting, sitting.report(in_order, now_ms), now_ms, seqs))

    def take(self, number: int, *, again: bool) -> Parcel:
        """One of the reports in flight; `again`: a copy of it stays."""
        place = number % len(self.in_flight)
        return self.in_flight[place] if again else self.in_flight.pop(place)
