"""Why the catalog refuses a command."""

from events.refusals import Refusal


class AlreadyPublished(Refusal):
    """Something else was published under this id."""


class SeriesUnknown(Refusal):
    """No series was published under this id."""


class SeasonUnknown(Refusal):
    """The series has no season of this number."""


class EpisodeNumberTaken(Refusal):
    """Another episode of the season has this number."""


class CreditsOutsideTitle(Refusal):
    """The credits marker lies at or after the end of the title."""


class WindowEndsBeforeItStarts(Refusal):
    """An availability window is empty."""
