"""Why playback refuses a request, or an event inside a report."""

from events.refusals import Refusal


class TitleUnknown(Refusal):
    """No title was published under this id."""


class TitleNotPlayable(Refusal):
    """A series has no picture of its own: its episodes are played."""


class ProfileRequired(Refusal):
    """The access token names no profile."""


class DeviceNotYours(Refusal):
    """The access token is for another device, or the device was removed."""


class PinRequired(Refusal):
    """The title is above the profile's maturity limit."""


class SessionTerminated(Refusal):
    """The session was ended from elsewhere: the player is to stop."""


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
