"""The keys of persons, read from Postgres for as many as are asked for, and unwrapped."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from events.types import Sealed
from infra.clock import Clock, utc_now
from infra.personal_data import SEALED, SEALED_MAX_CHARS, MasterKey, PersonKey, fitting
from infra.postgres import Pool

KEYS: Final = "select person_id, wrapped from person_key where person_id = any($1)"
NEW: Final = """
insert into person_key (person_id, wrapped, created_at) values ($1, $2, $3) on conflict (person_id) do nothing
"""


class PersonKeys:
    """What was unwrapped is kept, at most `kept` of them, by the bytes that wrapped it: these are read each time, so
    that nobody who is erased meanwhile is opened.
    """

    def __init__(self, pool: Pool, master: MasterKey, *, kept: int, clock: Clock = utc_now) -> None:
        self._pool = pool
        self._master = master
        self._kept = kept
        self._clock = clock
        self._known: OrderedDict[str, tuple[bytes, PersonKey]] = OrderedDict()

    async def of(self, person_ids: Iterable[str]) -> dict[str, PersonKey | None]:
        """Their keys; None for who is erased. Of who never had one, nothing. Raises InvalidTag for a key that no master
        key here opens."""
        rows = await self._pool.fetch(KEYS, list(set(person_ids)))
        return {row["person_id"]: self._unwrapped(row["person_id"], row["wrapped"]) for row in rows}

    async def sealed(self, person_id: str, text: str) -> Sealed | None:
        """A text for events, under a person's key; None for who is erased. One is made for who has none: not everybody
        who watches was registered here. Cut off where it would be longer than Text may be."""
        keys = await self.of([person_id])
        if person_id not in keys:
            _, wrapped = self._master.new_person(person_id)
            await self._pool.execute(NEW, person_id, wrapped, self._clock())
            keys = await self.of([person_id])
        key = keys[person_id]
        return key.seal(fitting(text, SEALED_MAX_CHARS)) if key else None

    async def opened(self, person_id: str, texts: Iterable[str | None]) -> list[str | None]:
        """Texts of a person as they were before they were sealed: None for what is erased, and what was never sealed as
        it is."""
        given = list(texts)
        if not any(text is not None and SEALED.fullmatch(text) for text in given):
            return given
        key = (await self.of([person_id])).get(person_id)
        return [opened_by(key, text) for text in given]

    def _unwrapped(self, person_id: str, wrapped: bytes | None) -> PersonKey | None:
        if wrapped is None:
            self._known.pop(person_id, None)
            return None
        known = self._known.get(person_id)
        if known is None or known[0] != wrapped:
            known = (wrapped, self._key(person_id, wrapped))
        self._known[person_id] = known
        self._known.move_to_end(person_id)
        if len(self._known) > self._kept:
            self._known.popitem(last=False)
        return known[1]

    def _key(self, person_id: str, wrapped: bytes) -> PersonKey:
        key = self._master.unwrap(wrapped, person_id)
        assert key is not None, "only None unwraps to None"
        return key


def opened_by(key: PersonKey | None, text: str | None) -> str | None:
    """A text that may be sealed: None for what no key opens, and what was never sealed as it is."""
    if text is None or not SEALED.fullmatch(text):
        return text
    return key.open(text) if key else None
