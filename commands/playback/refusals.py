"""Why playback refuses a request, or an event inside a report."""

from events.refusals import Refusal


class TitleUnknown(Refusal):
    """No title was published under this id."""


class TitleNotPlayable(Refusal):
    """A series has no picture of its own: its episodes are played."""


class LocationUnknown(Refusal):
    """Nothing says in which territory the viewer is, and titles are licensed by territory."""


class TitleNotAvailable(Refusal):
    """No window of the title is open in the viewer's territory."""


class NotEntitled(Refusal):
    """Neither a subscription nor a purchase lets the account play the title, and it is not free."""


class DownloadsNotAllowed(Refusal):
    """The account may keep no titles on devices."""


class ProfileRequired(Refusal):
    """The access token names no profile."""


class DeviceNotYours(Refusal):
    """The access token is for another device, or the device was removed."""


class PinRequired(Refusal):
    """The title is above the profile's maturity limit."""


class SessionTerminated(Refusal):
    """The session was ended from elsewhere: the player is to stop."""


class StreamLimitReached(Refusal):
    """Every place of the account is taken."""


class SessionAlreadyStarted(Refusal):
    """A second start of the same session."""


class SessionUnknown(Refusal):
    """No session was started under this id."""


class SessionNotYours(Refusal):
    """The session in the path is not the one that the playback token was given for."""


class PlaybackTokenInvalid(Refusal):
    """The playback token is missing, malformed or expired."""


class ReportMalformed(Refusal):
    """The body is not JSON."""


class ReportInvalid(Refusal):
    """The body is JSON of another shape."""


class ReportEmpty(Refusal):
    """A report without events."""


class ReportTooLarge(Refusal):
    """A report with more events than a report may hold."""


class BackfillTooLong(Refusal):
    """A backfill with more lines than one may hold."""


class BackfillBusy(Refusal):
    """As many backfills are under way as one process works on at a time."""


class BackfillOvertaken(Refusal):
    """Two requests under one key are at work at once."""


class BackfillUnknown(Refusal):
    """No backfill is known under this key."""


class CmcdUnreadable(Refusal):
    """Nothing of what a player sent as CMCD can be read, or it sent none."""


class CmcdTargetInvalid(Refusal):
    """The name of a player's collector holds what a name may not."""
