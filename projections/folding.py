"""Runs a view's fold over records: the only place that catches whatever a fold raises."""

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Generic, TypeVar

import msgspec

from projections.slabs import Taken
from projections.views import K, KeyedView, R, SeriesView, Stamped

Failure = tuple[Taken, str]
T = TypeVar("T")


class Folded(msgspec.Struct, Generic[T]):
    """What a fold came to: the rows to write, and the records that it raised on, with what it said."""

    rows: T
    failed: list[Failure]


class Keyed(Generic[R, K]):
    """The records of a keyed view with their keys. `keys` are to be loaded, then `fold` run on what was."""

    def __init__(self, view: KeyedView[R, K], taken: Sequence[Taken]) -> None:
        self._view = view
        self._failed: list[Failure] = []
        self._again = any(one.attempt for one in taken)
        self._records: list[tuple[K, Taken]] = []
        for one in taken:
            try:
                self._records.append((view.key(one.recorded), one))
            except Exception as error:  # noqa: BLE001 - a view may raise anything; its other records must not suffer
                self._failed.append((one, repr(error)))

    @property
    def keys_of_retries(self) -> set[K]:
        """The keys to which nothing goes but records that are tried again."""
        if not self._again:
            return set()
        return {key for key, one in self._records if one.attempt} - {
            key for key, one in self._records if not one.attempt
        }

    @property
    def keys(self) -> dict[K, None]:
        """Each key once, in order."""
        return dict.fromkeys(key for key, _ in self._records)

    def fold(
        self, rows: Mapping[K, R], folded_to: Mapping[K, int] | None = None
    ) -> Folded[dict[K, tuple[R | None, int]]]:
        """The rows that changed, by key, each with the offset of the last record that changed it.

        `folded_to`: where the store keeps it, the offset that a row was folded to; records up to it are passed over,
        but not those that are tried again, which leave that offset as it is.
        """
        current: dict[K, R | None] = dict(rows)
        changed: dict[K, int] = {}
        project, floor = self._view.project, folded_to or {}
        for key, one in self._records:
            offset = one.record.offset
            if one.attempt:
                offset = max(offset, changed.get(key, -1), floor.get(key, -1))
            elif floor and offset <= floor.get(key, -1):
                continue
            before = current.get(key)
            try:
                after = project(before, one.recorded)
            except Exception as error:  # noqa: BLE001 - a view may raise anything; its other records must not suffer
                self._failed.append((one, repr(error)))
                continue
            if after is not before:
                current[key] = after
                changed[key] = offset
        return Folded({key: (current[key], offset) for key, offset in changed.items()}, self._failed)


def fold_series(view: SeriesView[R], taken: Iterable[Taken]) -> Folded[list[Stamped[R]]]:
    """The rows of a time series, those left out that a later one of the same key writes over wholly."""
    rows: dict[object, list[Stamped[R]]] = {}
    failed: list[Failure] = []
    key_of = attrgetter(*view.bucket, *view.key)
    for one in taken:
        try:
            produced = list(view.project(one.recorded))
        except Exception as error:  # noqa: BLE001 - a view may raise anything; its other records must not suffer
            failed.append((one, repr(error)))
            continue
        for stamped in produced:
            key = key_of(stamped.row)
            rows[key] = _settled(rows.get(key), stamped)
    return Folded([stamped for of_key in rows.values() for stamped in of_key], failed)


def _settled(held: list[Stamped[R]] | None, newer: Stamped[R]) -> list[Stamped[R]]:
    """The writes to one key that matter: those that no higher timestamp writes over in every column."""
    if held is None:
        return [newer]
    if newer in held:  # the same again, as every heartbeat of a minute is to some views
        return held
    kept = [one for one in held if not _covers(newer, one)]
    return kept if any(_covers(one, newer) for one in kept) else [*kept, newer]


def _covers(high: Stamped[R], low: Stamped[R]) -> bool:
    if high.timestamp_us <= low.timestamp_us:  # of two writes of one timestamp the store decides, in a slab or not
        return False
    written = zip(msgspec.structs.astuple(high.row), msgspec.structs.astuple(low.row), strict=True)
    return all(over is not None or under is None for over, under in written)
