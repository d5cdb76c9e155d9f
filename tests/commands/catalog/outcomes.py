"""How a command ends, as a word: what was recorded, "-" for nothing, or the refusal's name."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from commands.catalog.decider import CATALOG
from events.envelope import Event
from events.refusals import Refusal
from tests.spec import NOON


def outcome(history: Iterable[Event], command: Any, now: datetime = NOON) -> str:
    """The ending of a command after a history."""
    try:
        events = CATALOG.decide(command, CATALOG.state_after(history, CATALOG.initial), now)
    except Refusal as refusal:
        assert refusal.detail
        return type(refusal).__name__
    return " ".join(type(event).__name__ for event in events) or "-"
