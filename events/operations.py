"""Events about Playhead's own running: what its projections could not take, what operators decided about it, and what
they asked of the versions of views.
"""

from enum import StrEnum

from events.envelope import Event


class ViewAction(StrEnum):
    """What can be asked of a view, as `playhead views` names it."""

    REBUILD = "rebuild"
    PAUSE = "pause"
    RESUME = "resume"
    VERIFY = "verify"
    SWAP = "swap"
    ROLLBACK = "rollback"
    RETIRE = "retire"


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


class ViewChangeRequested(Event, frozen=True):
    """An operator asked for something to be done with a view. `number`: the event's place in the view's stream, by
    which its end names it. `version`: what it is done with; None for a rebuild, whose result is the first version after
    `after_version`. `accept`: differences from the live version are what it is for; `force`: swapped in all the same.
    """

    view: str
    number: int
    action: ViewAction
    version: int | None = None
    after_version: int = 0
    max_events_per_s: int | None = None
    accept: bool = False
    force: bool = False
    reason: str | None = None


class ViewChangeCompleted(Event, frozen=True):
    """What was asked was done, or was so already. `request`: its number. `detail`: what it came to."""

    view: str
    request: int
    action: ViewAction
    version: int | None
    detail: str


class ViewChangeFailed(Event, frozen=True):
    """What was asked could not be done; `detail` says why, and what can be."""

    view: str
    request: int
    action: ViewAction
    detail: str


class ViewChangeCanceled(Event, frozen=True):
    """An operator does not want any more what was asked, and was not begun yet. `request`: its number."""

    view: str
    request: int
    action: ViewAction
    reason: str | None = None


LetterEvent = RecordDeadLettered | DeadLetterApplied
"""What projections say, in the dead-letter topics."""
LetterDecision = DeadLetterRetried | DeadLetterDiscarded
"""What operators decide about dead letters, in the event log."""
ViewChangeEvent = ViewChangeRequested | ViewChangeCompleted | ViewChangeFailed | ViewChangeCanceled
"""What operators ask of views, and what it came to, in the event log."""
OperationsEvent = LetterDecision | ViewChangeEvent
"""Everything of operators in the event log."""
