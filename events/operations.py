"""Events about Playhead's own running: what its projections could not take, and what operators decided about it."""

from events.envelope import Event


class RecordDeadLettered(Event, frozen=True):
    """A projection could not take a record: where it stands, why, and its bytes, so that it can be shown and
    retried.

    `views`: those that could not take it; none named is all of them. `attempt`: 0, or the retry that failed again.
    `body_left`: the body is too large for a letter, and stands in the topic alone.
    """

    projection: str
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    key: bytes | None
    body: bytes
    views: tuple[str, ...] = ()
    headers: tuple[tuple[str, bytes], ...] = ()
    attempt: int = 0
    body_left: bool = False


class DeadLetterApplied(Event, frozen=True):
    """A projection has taken, at an operator's retry, what it could not take before."""

    projection: str
    topic: str
    partition: int
    offset: int
    attempt: int


class DeadLetterRetried(Event, frozen=True):
    """An operator has a record tried again: it goes to the same projection, for the views that did not take it, with
    its bytes as they were set aside. `attempt`: 1 for the first retry of a letter.
    """

    letter_id: str
    projection: str
    topic: str
    partition: int
    offset: int
    attempt: int
    views: tuple[str, ...]
    headers: tuple[tuple[str, bytes], ...]
    body: bytes
    reason: str | None = None


class DeadLetterDiscarded(Event, frozen=True):
    """An operator will not have a record tried again, and says why."""

    letter_id: str
    reason: str


LetterEvent = RecordDeadLettered | DeadLetterApplied
"""What projections say, in the dead-letter topics."""
OperationsEvent = DeadLetterRetried | DeadLetterDiscarded
"""What operators decide, in the event log."""
