"""Why a command of operators is refused."""

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


class ViewUnknown(Refusal):
    """No view of this name has versions."""


class ViewVersionUnknown(Refusal):
    """The view has no such version."""


class ViewVersionUnfit(Refusal):
    """No version of the view is in a state that allows it."""


class ViewVersionUnverified(Refusal):
    """Nobody has compared the version with the live one, or it differs and nobody said that it may."""


class ViewRequestUnknown(Refusal):
    """Nothing was asked of the view under this number."""


class ViewRequestBegun(Refusal):
    """What was asked is under way already, or done."""


class ViewBusy(Refusal):
    """As much as may be is asked of the view, and not done yet."""
