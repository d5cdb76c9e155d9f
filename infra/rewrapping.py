"""Everything that a master key sealed, sealed again under the newest: the second half of a rotation.

In batches of settings.rewrap_batch_rows, each one statement that changes only what is still as it was read, so commands
go on meanwhile, a key that is destroyed meanwhile stays destroyed, and whoever is killed begins again where it was.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidTag

from infra.personal_data import BOX, BOX_CHARS, MasterKey, prefix_of
from infra.postgres import Pool


@dataclass(frozen=True)
class Place:
    """A column that master keys sealed. `type` and `first`: of the primary key `key`, by which it is walked.
    `is_person`: what is sealed is the key of whom the primary key names, and is bound to them."""

    table: str
    key: str
    type: str
    first: object
    column: str
    is_person: bool = False

    @property
    def others(self) -> str:
        """The SQL for a batch that does not begin with a prefix ($1), after a key ($2)."""
        return f"""
            select {self.key} as key, {self.column} as box from {self.table}
            where {self.column} is not null and substr({self.column}, 1, {BOX_CHARS}) <> $1 and {self.key} > $2
            order by {self.key} limit $3"""

    @property
    def exchange(self) -> str:
        """The SQL that puts new boxes for old."""
        return f"""
            update {self.table} as t set {self.column} = given.new
            from unnest($1::{self.type}[], $2::bytea[], $3::bytea[]) as given (key, old, new)
            where t.{self.key} = given.key and t.{self.column} = given.old"""

    @property
    def counts(self) -> str:
        """The SQL for how many there are of each prefix; those without one are counted under the empty one."""
        return f"""
            select box, count(*) as boxes from (
                select case when substr({self.column}, 1, 3) = 'm1.'::bytea
                       then substr({self.column}, 1, {BOX_CHARS}) else ''::bytea end as box
                from {self.table} where {self.column} is not null) as each
            group by box"""


PLACES: Final = (
    Place("person_key", "person_id", "text", "", "wrapped", is_person=True),
    Place("identity_mail", "mail_id", "bigint", 0, "sealed"),
    Place("identity_one_time_tokens", "digest", "bytea", b"", "sealed"),
    Place("identity_device_codes", "digest", "bytea", b"", "device"),
)


class Batch(NamedTuple):
    """How many a batch looked at, and how many of them no key of the ring opens."""

    seen: int
    unreadable: int


async def sealed_by(pool: Pool, master: MasterKey) -> dict[str, int]:
    """How many each master key sealed that is still there, by kid. Of what names no key: the oldest in the ring."""
    counted: dict[str, int] = {}
    oldest = master.ring.known()[-1].kid
    for place in PLACES:
        for row in await pool.fetch(place.counts):
            kid = named[1].decode() if (named := BOX.match(row["box"])) else oldest
            counted[kid] = counted.get(kid, 0) + row["boxes"]
    return counted


async def rewrap(pool: Pool, master: MasterKey, *, batch_rows: int) -> AsyncIterator[Batch]:
    """One pass over all that is not under the key that seals now; what comes meanwhile under an older one is left to
    the next."""
    for place in PLACES:
        after: Any = place.first
        while rows := await pool.fetch(place.others, prefix_of(master.ring.signing().kid), after, batch_rows):
            after = rows[-1]["key"]
            again = [(row["key"], row["box"], new) for row in rows if (new := _again(master, place, row)) is not None]
            if again:
                await pool.execute(place.exchange, *(list(column) for column in zip(*again, strict=True)))
            yield Batch(len(rows), len(rows) - len(again))


def _again(master: MasterKey, place: Place, row: Any) -> bytes | None:
    try:
        return master.sealed_again(row["box"], row["key"] if place.is_person else None)
    except InvalidTag:  # of a key that nobody has: it cannot be read before, nor after
        return None
