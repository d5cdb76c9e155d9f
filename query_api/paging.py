"""Keyset pages: a page asks its store for one row more than it shows, and that row decides whether another follows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from infra.cursors import Cursors

R = TypeVar("R")
K = TypeVar("K", bound=msgspec.Struct)


@dataclass(frozen=True)
class Listing(Generic[K]):
    """One listing's cursors: `scope` says which rows it lists, so that a cursor is good for no other."""

    cursors: Cursors
    scope: str
    key_class: type[K]

    def after(self, cursor: str | None) -> K | None:
        """The key of the last row that the client has; None at the start. Raises BadCursor."""
        return None if cursor is None else self.cursors.read(self.scope, cursor, self.key_class)

    def cursor(self, after: K) -> str:
        """The cursor for the rows that follow a key."""
        return self.cursors.sign(self.scope, after)

    def page(self, rows: Sequence[R], limit: int, key: Callable[[R], K]) -> tuple[Sequence[R], str | None]:
        """The rows to show of the `limit` + 1 that were asked for, and the cursor of the next page."""
        shown = rows[:limit]
        return shown, self.cursor(key(shown[-1])) if len(rows) > limit else None


def scope_of(*parts: str | int | None) -> str:
    """A scope that no other parts make."""
    return msgspec.json.encode(parts).decode()
