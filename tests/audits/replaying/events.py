"""Events of a history that tests make up."""

from audits.history.events import HistoryEvent
from audits.sources import Source


def happened(number: int, key: str = "key-1", *, second: float = 0.0, value: bytes | None = None) -> HistoryEvent:
    """The event at an offset."""
    body = b'{"id":"%d"}' % number if value is None else value
    return HistoryEvent(Source.ARCHIVE, "playback.events", 0, number, None, int(second * 1e6), key.encode(), body)
