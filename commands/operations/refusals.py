"""Why a command about a dead letter is refused."""

from events.refusals import Refusal


class DeadLetterUnknown(Refusal):
    """Nothing was set aside under this id."""


class DeadLetterIsDiscarded(Refusal):
    """Somebody decided that it is not tried again."""


class DeadLetterIsApplied(Refusal):
    """It was tried again and taken."""


class DeadLetterNotRetriable(Refusal):
    """No projection could be given what was set aside."""


class DeadLetterLate(Refusal):
    """Its stream has later events, which the views that it would go to fold in order."""
