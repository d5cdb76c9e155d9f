"""Why the catalog refuses a command."""

from events.refusals import Refusal


class TitleUnknown(Refusal):
    """Nothing was begun under this id."""


class TitleExists(Refusal):
    """Something else was begun under this id."""


class AlreadyPublished(Refusal):
    """It was published, so what is only for titles that are not yet is refused."""


class TitleIsDiscarded(Refusal):
    """The draft was thrown away."""


class TitleIsScheduled(Refusal):
    """The title is about to be published."""


class TitleWasPublished(Refusal):
    """Viewers have known the title, so it cannot be as if it had never been."""


class TitleNotPublished(Refusal):
    """The title is not published, so it cannot be withdrawn."""


class TitleNotScheduled(Refusal):
    """The title has no time at which it will be published."""


class AlreadyWithdrawn(Refusal):
    """The title was withdrawn for another reason."""


class PublishTimePast(Refusal):
    """The time to publish is not ahead."""


class TitleIncomplete(Refusal):
    """Something is missing that a title of its kind needs before viewers may see it."""


class SeriesUnknown(Refusal):
    """No series was begun under this id."""


class NotASeries(Refusal):
    """Only a series has seasons and episodes: a movie, a short or a channel has none."""


class SeriesNotPublished(Refusal):
    """An episode is not published before its series."""


class SeriesHasEpisodes(Refusal):
    """A series with episodes cannot be thrown away."""


class SeasonUnknown(Refusal):
    """The series has no season of this number."""


class SeasonNumberTaken(Refusal):
    """Another season has this number."""


class SeasonHasEpisodes(Refusal):
    """A season with episodes cannot be removed."""


class EpisodeNumberTaken(Refusal):
    """Another episode of the season has this number."""


class EpisodeNumberMissing(Refusal):
    """An episode needs a series, a season and a number, and nothing else has them."""


class EpisodeElsewhere(Refusal):
    """The episode is there under another number."""


class OrderIncomplete(Refusal):
    """An order names each of what it orders once."""


class SeriesTooLong(Refusal):
    """The series holds as many seasons or episodes as one may."""


class DurationNotAllowed(Refusal):
    """A series and a channel have no duration and no markers."""


class CreditsOutsideTitle(Refusal):
    """The credits marker lies at or after the end of the title."""


class MarkerOutsideTitle(Refusal):
    """An intro or a recap is empty, or ends after the title."""


class TitleTooLarge(Refusal):
    """The details, or all seasons together, hold more than an event may."""


class TextsInvalid(Refusal):
    """Each locale has one text, and the default locale has one."""


class MaturityInvalid(Refusal):
    """Each system gives one rating, one that it knows, for the age that it stands for."""


class TerritoryUnknown(Refusal):
    """ISO 3166-1 has no such territory."""


class WindowEndsBeforeItStarts(Refusal):
    """An availability window or a holdback is empty."""


class WindowsOverlap(Refusal):
    """Two availability windows of one territory and licence share a moment."""


class NextTitleNotAllowed(Refusal):
    """Episodes follow each other by number, and a channel has no end that anything could follow."""


class NextTitleUnknown(Refusal):
    """The next title is not in the catalog."""


class NextTitleCycle(Refusal):
    """The next titles would lead back to the title, and play for ever."""
