"""How far a backup or a restore is, for whoever watches."""

from collections.abc import Callable
from typing import NamedTuple


class Step(NamedTuple):
    """What is being done. `total`: None while it is not known."""

    what: str
    done: int = 0
    total: int | None = None


Show = Callable[[Step], None]


def nobody(_: Step) -> None:
    """Nobody watches."""
