"""Personal values in history, opened for who may read them, and marked where they are erased.

In JSON what is opened is a string, and what is not is an object that no sealed value can be: {"erased": true} where the
person's key was destroyed, {"unreadable": true} where a value is not what that key sealed, or nobody has the key. So a
reader tells an erased name from one that says "[erased]", which is how said() shows it where there is only text.
Everything else of an event stays as it is; of the bytes in dead letters nothing is opened.
"""

from collections.abc import Mapping, Sequence, Set
from enum import Enum
from typing import Any, Final, NamedTuple

import msgspec

from infra.archive.records import envelope_of
from infra.person_keys import PersonKeys
from infra.personal_data import SEALED, PersonKey
from infra.telemetry import log

ERASED: Final = {"erased": True}
UNREADABLE: Final = {"unreadable": True}
ACCOUNT_STREAM: Final = "identity.account-"
MAY_BE_SEALED: Final = b'"p1.'
LOGGED_MAX: Final = 10
IN_CHANGE: Final = b'\\"p1.'


class Unknown(Enum):
    """Instead of a key: the database has no row of the person."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


class Opened(NamedTuple):
    """An event's bytes with what is personal in them opened, and how much of it was, and was erased."""

    body: bytes
    opened: int = 0
    erased: int = 0


class Personal:
    """Opens what is personal in events, in somebody's name, and has the process's log say so."""

    def __init__(self, keys: PersonKeys, *, reader: str, purpose: str) -> None:
        self._keys = keys
        self._reader = reader
        self._purpose = purpose

    async def open(self, bodies: Sequence[bytes]) -> list[Opened]:
        """Events, as they are in the log, on Kafka or in the archive, each with its personal values opened. What cannot
        be read as an event stays as it is. Raises what a Postgres that is away does, and InvalidTag for a person's key
        that no master key here opens.
        """
        found = {place: person for place, body in enumerate(bodies) if (person := person_of(body)) is not None}
        keys = await self._keys.of(found.values()) if found else {}
        opened = [
            with_personal(body, keys.get(found[place], UNKNOWN)) if place in found else Opened(body)
            for place, body in enumerate(bodies)
        ]
        self._tell(opened, found)
        return opened

    async def open_rows(self, person_id: str, rows: Sequence[object]) -> list[object]:
        """Rows of views about one person, as JSON has them, each with its personal values opened. Raises as open()."""
        opening = _Opening((await self._keys.of([person_id])).get(person_id, UNKNOWN))
        opened = [opening.of(row) for row in rows]
        self._say({person_id} if opening.opened else set(), values=opening.opened, rows=len(rows))
        return opened

    def _tell(self, opened: Sequence[Opened], found: Mapping[int, str]) -> None:
        places = [place for place, each in enumerate(opened) if each.opened]
        values = sum(opened[place].opened for place in places)
        self._say({found[place] for place in places}, values=values, events=len(places))

    def _say(self, persons: Set[str], **counts: int) -> None:
        if persons:
            some = sorted(persons)[:LOGGED_MAX]
            told = {"reader": self._reader, "purpose": self._purpose, "persons": len(persons), "accounts": some}
            log.info("personal_values_opened", **told, **counts)


def person_of(body: bytes) -> str | None:
    """Whose personal values an event may hold; None for an event that holds none."""
    if MAY_BE_SEALED not in body and IN_CHANGE not in body:
        return None
    told = envelope_of(body)
    if told.account_id is not None:
        return told.account_id
    subject = told.subject or ""
    return subject.removeprefix(ACCOUNT_STREAM) if subject.startswith(ACCOUNT_STREAM) else None


def with_personal(body: bytes, key: PersonKey | Unknown | None) -> Opened:
    """An event with what is Sealed in its data and in its `change` opened by its person's key. None: the key was
    destroyed; UNKNOWN: nobody knows of one."""
    envelope = msgspec.json.decode(body)
    opening = _Opening(key)
    envelope["data"] = opening.of(envelope["data"])
    if (change := envelope.get("change")) is not None:
        changed = opening.of(msgspec.json.decode(change))
        envelope["change"] = msgspec.json.encode(changed).decode()
    return Opened(msgspec.json.encode(envelope), opening.opened, opening.erased) if opening.seen else Opened(body)


def said(value: object) -> object:
    """A value for a table: what is erased or unreadable in words."""
    if value == ERASED:
        return "[erased]"
    return "[unreadable]" if value == UNREADABLE else value


class _Opening:
    def __init__(self, key: PersonKey | Unknown | None) -> None:
        self._key = key
        self.seen = self.opened = self.erased = 0

    def of(self, value: Any) -> Any:
        """A value of JSON; what looks sealed is opened, or marked."""
        match value:
            case str():
                return self._text(value) if SEALED.fullmatch(value) else value
            case list():
                return [self.of(each) for each in value]
            case dict():
                return {name: self.of(each) for name, each in value.items()}
            case _:
                return value

    def _text(self, sealed: str) -> object:
        self.seen += 1
        if self._key is None:
            self.erased += 1
            return ERASED
        text = None if self._key is UNKNOWN else self._key.open(sealed)
        if text is None:
            return UNREADABLE
        self.opened += 1
        return text
