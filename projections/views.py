"""What a view is: a pure fold from events to rows. It does not know who runs it, on which store, or when."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

import msgspec

from events.envelope import Event, Recorded
from events.topics import Topic

R = TypeVar("R", bound=msgspec.Struct)
S = TypeVar("S", bound=msgspec.Struct)
K = TypeVar("K", bound=Hashable)


class View(ABC, Generic[R]):
    """What every view declares. `name`: its table. `row`: a frozen struct with one field for each column.
    `topics`: where `events`, the classes that it takes, come from. `version`: of the fold; one more whenever the same
    events come to other rows, so that nobody folds into rows of another one (ADR 19).
    """

    name: str
    version: int = 1
    row: type[R]
    topics: tuple[Topic, ...]
    events: tuple[type[Event], ...]


class KeyedView(View[R], Generic[R, K]):
    """A view with one row for each key, which folds each event into the row that is there."""

    @abstractmethod
    def key(self, recorded: Recorded[Event]) -> K:
        """The key of the row that an event goes to. All events of a key come from one partition."""

    @abstractmethod
    def project(self, row: R | None, recorded: Recorded[Event]) -> R | None:
        """The row after an event; None: there is none. The same object when nothing changes."""


class ListView(KeyedView[R, str], Generic[R]):
    """A keyed view whose row is its key and a list of items, kept as a record for each item, so that items have
    indexes. `row`: a struct of these two fields, the items as a tuple of frozen structs; `item`: their class.
    """

    item: type[msgspec.Struct]


class AggregateView(View[R], Generic[R, S]):
    """A view of a view in the same store: its rows add up what the rows of `source` contribute, and are written in the
    transaction that writes those. It takes no events itself.

    `row`: a struct whose first field is its key, made of what it adds up by. `sums`: the fields that are added up, each
    an int or a tuple of ints of one length; `maxima`: tuples of ints, or bytes, of which the largest stay (a
    HyperLogLog's registers); every other field follows from the key. `passing`: the field that says when a row's time
    was, and `kept_for`: rows of longer ago may be removed (projections/sweeping.py); None: never.
    """

    source: type[KeyedView[S, str]]
    sums: tuple[str, ...]
    maxima: tuple[str, ...] = ()
    passing: str = ""
    kept_for: timedelta | None = None
    topics = ()
    events = ()

    @abstractmethod
    def contributions(self, row: S) -> Iterable[R]:
        """What a row of the source gives: at most one row for each key."""

    def gives_the_same(self, before: S, after: S) -> bool:
        """Whether a row's contributions are known to be what they were; False: they are compared."""
        return False


class Shelf(NamedTuple):
    """Where a row of a hash view is: the hash of a profile, and the field in it."""

    profile_id: str
    field: str


class HashView(KeyedView[R, Shelf], Generic[R]):
    """A keyed view whose rows are kept in one hash for each profile. `most_rows`: the oldest go first when there are
    more. `ttl_s`: a profile that nothing happens to is forgotten. `rows_pass`: updated_at() is when a row may go, and
    it goes with the next write after that.
    """

    most_rows: int
    ttl_s: int
    rows_pass: bool = False

    @abstractmethod
    def updated_at(self, row: R) -> datetime:
        """How old a row is."""


class SeriesView(View[R]):
    """A time series: each event gives rows of its own, and a row's key and timestamp make writing it twice once.

    The fields named in `bucket` are the partition key, those in `key` follow it in the primary key.
    """

    bucket: tuple[str, ...]
    key: tuple[str, ...]

    @abstractmethod
    def project(self, recorded: Recorded[Event]) -> Iterable["Stamped[R]"]:
        """The rows of an event."""


class Stamped(msgspec.Struct, Generic[R], frozen=True):
    """A row and the timestamp, in microseconds, that it is written with: of two writes to a cell the higher wins.
    A field that is None is not written.
    """

    row: R
    timestamp_us: int
