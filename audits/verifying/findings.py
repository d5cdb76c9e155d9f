"""What a verification finds: each finding names what was done, where, and what is there instead of what must be."""

from enum import StrEnum
from hashlib import sha256

import msgspec


class Kind(StrEnum):
    """What was done to history, as far as can be told from what is left of it."""

    FLIPPED = "flipped"
    """Bytes or a column are not what they were."""
    REMOVED = "removed"
    INSERTED = "inserted"
    SWAPPED = "swapped"
    TRUNCATED = "truncated"
    """The end is missing."""
    REPLACED = "replaced"
    """A file is another one, whole in itself."""
    REPEATED = "repeated"
    """The same event or range is there twice."""
    REWRITTEN = "rewritten"
    """It is whole in itself, and not what a checkpoint signed."""
    FORGED = "forged"
    """A checkpoint whose signature is not by a key of this installation over these bytes."""


class Store(StrEnum):
    """Where it was found."""

    LOG = "log"
    KAFKA = "kafka"
    ARCHIVE = "archive"
    CHECKPOINTS = "checkpoints"
    VIEWS = "views"


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong. `what`: the part of it, such as "value" or "column type". Of a range that is missing,
    `offset` or `position` is its first and `last` its last. `expected` and `found`: texts, digests in hex.
    """

    kind: Kind
    store: Store
    what: str
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    position: int | None = None
    last: int | None = None
    event_id: str | None = None
    file: str | None = None
    expected: str | None = None
    found: str | None = None

    def told(self) -> str:
        """It as a line for a person."""
        at = [
            f"{name} {value}"
            for name, value in (
                ("partition", self.partition),
                ("offset", self.offset),
                ("position", self.position),
                ("to", self.last),
                ("event", self.event_id),
                ("file", self.file),
            )
            if value is not None
        ]
        return f"{self.kind} {self.what} in {self.topic or self.store} ({self.store}), {', '.join(at)}{self._differs()}"

    def _differs(self) -> str:
        if self.expected is None:
            return "" if self.found is None else f": {self.found}"
        return f": {self.found or 'nothing'} instead of {self.expected}"


def shown(value: bytes | None) -> str | None:
    """Bytes for a finding: their digest, since they may be long, and personal."""
    return None if value is None else sha256(value).hexdigest()
