"""What the engine asks of a store: rounds in which views are written and checkpoints moved, all or none."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

import msgspec

from projections.slabs import Checkpoint, Partition, Taken

V_contra = TypeVar("V_contra", contravariant=True)

Checkpoints = Mapping[Partition, Checkpoint]


class Ready(msgspec.Struct, frozen=True):
    """A view's rows, folded and not written yet. `failed`: the records that the fold raised on, with what it said."""

    failed: Sequence[tuple[Taken, str]]
    save: Callable[[], Awaitable[int]]
    """Writes the rows; how many. Raises RecordRefused."""


class Round(Protocol[V_contra]):
    """One step forward. Where the store has transactions it is one; elsewhere rows are written such that writing them
    again is harmless, and the checkpoint last. Every method raises StoreUnavailable.
    """

    async def checkpoints(self, partitions: Collection[Partition]) -> Checkpoints:
        """How far these partitions are applied, locked against other rounds until this one ends. Raises StoreEmptied
        when one of them has no checkpoint.
        """

    async def fold(self, view: V_contra, taken: Sequence[Taken]) -> Ready:
        """Load what a view needs and fold records into it. Raises RecordRefused, and StoreEmptied when it notices."""

    async def move(self, before: Checkpoints, after: Checkpoints) -> None:
        """Move checkpoints on. Raises StoreEmptied when they are not what they were before."""


class Store(Protocol[V_contra]):
    """A store of views."""

    @property
    def name(self) -> str:
        """The projection's name, in checkpoints and metrics."""

    @property
    def missing(self) -> Mapping[str, str]:
        """Why a worker of it is not ready, beside trouble with reaching it."""

    async def open(self) -> None:
        """Connect and prepare; again after a failure. Raises StoreUnavailable."""

    async def close(self) -> None:
        """Close the connections."""

    def round(self) -> AbstractAsyncContextManager[Round[V_contra]]:
        """A new round; what it did is undone, where it can be, if its body raises."""

    async def checkpoints(self, partitions: Collection[Partition]) -> Checkpoints:
        """The checkpoints that there are, unlocked. Raises StoreUnavailable."""

    async def begin(self, checkpoints: Checkpoints) -> None:
        """Note where partitions without a checkpoint begin, or that the log begins later than theirs. Raises
        StoreUnavailable.
        """
