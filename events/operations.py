"""Events about Playhead's own running: what its projections could not take."""

from events.envelope import Event


class RecordDeadLettered(Event, frozen=True):
    """A projection could not take a record: where it stands, why, and its bytes, so that it can be shown and
    retried.
    """

    projection: str
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    key: bytes | None
    body: bytes
