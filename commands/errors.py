"""How the commands API refuses: every exception and the problem that it becomes, on one screen (docs/problems.md)."""

from typing import Final

import asyncpg

from commands.access import NotYourAccount, NotYourProfile
from commands.catalog import refusals as catalog
from commands.handling import IdempotencyKeyMissing, VersionConflict
from commands.payments.refusals import PaymentNotRecorded
from commands.playback import refusals as playback
from infra.access import authentication
from infra.event_log import IdempotencyKeyReused
from infra.http.inflating import EncodingMalformed
from infra.http.openapi import Responses, refusals
from infra.http.problems import (
    BODY_TOO_LARGE,
    ENCODING_UNSUPPORTED,
    INVALID_REQUEST,
    MALFORMED_JSON,
    TOO_MUCH_IN_FLIGHT,
    ProblemKind,
    Problems,
)
from infra.payments.signatures import WebhookSignatureInvalid, WebhookStale
from infra.payments.webhooks import WebhookMalformed
from infra.publisher import KafkaUnavailable, TooMuchInFlight

STORE_UNAVAILABLE = ProblemKind(503, "store-unavailable", "A store that this command needs does not answer")

TITLE_UNKNOWN = ProblemKind(404, "title-unknown", "There is no such title")
PIN_REQUIRED = ProblemKind(403, "pin-required", "This needs the profile's PIN")

PROBLEMS: Final[Problems] = {
    **authentication.PROBLEMS,
    NotYourAccount: ProblemKind(403, "not-your-account", "The account belongs to someone else"),
    NotYourProfile: ProblemKind(403, "not-your-profile", "The profile belongs to someone else"),
    IdempotencyKeyReused: ProblemKind(422, "idempotency-key-reused", "The Idempotency-Key came with another request"),
    IdempotencyKeyMissing: ProblemKind(400, "idempotency-key-missing", "The command needs an Idempotency-Key"),
    VersionConflict: ProblemKind(412, "version-conflict", "The stream has moved on since it was read"),
    catalog.TitleUnknown: TITLE_UNKNOWN,
    catalog.TitleExists: ProblemKind(409, "title-exists", "Something else was begun under this id"),
    catalog.AlreadyPublished: ProblemKind(409, "already-published", "The title is published already"),
    catalog.TitleIsDiscarded: ProblemKind(409, "title-discarded", "The draft was discarded"),
    catalog.TitleIsScheduled: ProblemKind(409, "title-scheduled", "The title is scheduled"),
    catalog.TitleWasPublished: ProblemKind(409, "title-was-published", "Viewers have known the title"),
    catalog.TitleNotPublished: ProblemKind(409, "title-not-published", "The title is not published"),
    catalog.TitleNotScheduled: ProblemKind(409, "title-not-scheduled", "The title is not scheduled"),
    catalog.AlreadyWithdrawn: ProblemKind(409, "already-withdrawn", "The title was withdrawn for another reason"),
    catalog.PublishTimePast: ProblemKind(422, "publish-time-past", "The time to publish is not ahead"),
    catalog.TitleIncomplete: ProblemKind(409, "title-incomplete", "The title lacks what it is published with"),
    catalog.TitleTooLarge: ProblemKind(422, "title-too-large", "The details hold more than an event may"),
    catalog.SeriesUnknown: ProblemKind(404, "series-unknown", "There is no such series"),
    catalog.NotASeries: ProblemKind(409, "not-a-series", "Only a series has seasons and episodes"),
    catalog.SeriesNotPublished: ProblemKind(409, "series-not-published", "The episode's series is not published"),
    catalog.SeriesHasEpisodes: ProblemKind(409, "series-has-episodes", "The series has episodes"),
    catalog.SeriesTooLong: ProblemKind(409, "series-too-long", "The series holds as much as one may"),
    catalog.SeasonUnknown: ProblemKind(409, "season-unknown", "The series has no such season"),
    catalog.SeasonNumberTaken: ProblemKind(409, "season-number-taken", "Another season has this number"),
    catalog.SeasonHasEpisodes: ProblemKind(409, "season-has-episodes", "The season has episodes"),
    catalog.EpisodeNumberTaken: ProblemKind(409, "episode-number-taken", "The season has an episode of this number"),
    catalog.EpisodeNumberMissing: ProblemKind(422, "episode-number-missing", "An episode has a series and a number"),
    catalog.EpisodeElsewhere: ProblemKind(409, "episode-elsewhere", "The episode has another number"),
    catalog.OrderIncomplete: ProblemKind(409, "order-incomplete", "The order does not name each of them once"),
    catalog.DurationNotAllowed: ProblemKind(422, "duration-not-allowed", "A series and a channel have no duration"),
    catalog.CreditsOutsideTitle: ProblemKind(422, "credits-outside-title", "The credits begin after the title ends"),
    catalog.MarkerOutsideTitle: ProblemKind(422, "marker-outside-title", "An intro or a recap is not in the title"),
    catalog.TextsInvalid: ProblemKind(422, "texts-invalid", "The default locale has one text, and each other too"),
    catalog.MaturityInvalid: ProblemKind(422, "maturity-invalid", "A maturity rating does not hold"),
    catalog.TerritoryUnknown: ProblemKind(422, "territory-unknown", "ISO 3166-1 has no such territory"),
    catalog.WindowEndsBeforeItStarts: ProblemKind(422, "window-empty", "An availability window is empty"),
    catalog.WindowsOverlap: ProblemKind(422, "windows-overlap", "Two availability windows share a moment"),
    catalog.NextTitleNotAllowed: ProblemKind(422, "next-title-not-allowed", "No title can follow so"),
    catalog.NextTitleUnknown: ProblemKind(409, "next-title-unknown", "The next title is not in the catalog"),
    catalog.NextTitleCycle: ProblemKind(409, "next-title-cycle", "The next titles would lead back to the title"),
    EncodingMalformed: ProblemKind(400, "encoding-malformed", "The body is not what its Content-Encoding says"),
    playback.TitleUnknown: TITLE_UNKNOWN,
    playback.TitleNotPlayable: ProblemKind(409, "title-not-playable", "This title groups others and is not played"),
    playback.LocationUnknown: ProblemKind(403, "location-unknown", "Nobody can tell in which territory the viewer is"),
    playback.TitleNotAvailable: ProblemKind(403, "title-not-available", "The title cannot be played here now"),
    playback.NotEntitled: ProblemKind(403, "not-entitled", "The account has not paid for this title"),
    playback.DownloadsNotAllowed: ProblemKind(403, "downloads-not-allowed", "The account may keep no titles"),
    playback.ProfileRequired: ProblemKind(403, "profile-required", "Only a viewer's profile can play"),
    playback.DeviceNotYours: ProblemKind(403, "device-not-yours", "The access token is for another device"),
    playback.PinRequired: PIN_REQUIRED,
    playback.StreamLimitReached: ProblemKind(
        409, "stream-limit-reached", "The account plays all that it may at a time"
    ),
    playback.SessionAlreadyStarted: ProblemKind(409, "session-already-started", "This session was started before"),
    playback.SessionUnknown: ProblemKind(404, "session-unknown", "There is no such session"),
    playback.SessionNotYours: ProblemKind(403, "session-not-yours", "The playback token is another session's"),
    playback.SessionTerminated: ProblemKind(410, "session-terminated", "The session was ended from elsewhere"),
    playback.PlaybackTokenInvalid: ProblemKind(401, "playback-token-invalid", "The playback token does not hold"),
    playback.ReportMalformed: MALFORMED_JSON,
    playback.ReportInvalid: ProblemKind(422, "report-invalid", "The report does not have the shape of one"),
    playback.ReportEmpty: ProblemKind(422, "report-empty", "The report holds no events"),
    playback.ReportTooLarge: ProblemKind(413, "report-too-large", "The report holds more events than one may"),
    playback.BackfillTooLong: ProblemKind(413, "backfill-too-long", "The backfill holds more lines than one may"),
    playback.BackfillBusy: ProblemKind(503, "backfill-busy", "As many backfills are under way as may be"),
    playback.BackfillOvertaken: ProblemKind(409, "backfill-overtaken", "Another request under this key is at work"),
    playback.BackfillUnknown: ProblemKind(404, "backfill-unknown", "There is no such backfill"),
    playback.CmcdUnreadable: ProblemKind(400, "cmcd-unreadable", "No CMCD record could be read"),
    playback.CmcdTargetInvalid: ProblemKind(422, "cmcd-target-invalid", "The collector's name does not hold"),
    WebhookSignatureInvalid: ProblemKind(401, "webhook-signature-invalid", "The webhook's signature does not hold"),
    WebhookStale: ProblemKind(400, "webhook-stale", "The webhook was signed too long ago, or in the future"),
    WebhookMalformed: ProblemKind(400, "webhook-malformed", "The webhook is signed and cannot be read"),
    PaymentNotRecorded: ProblemKind(503, "payment-not-recorded", "What the webhook tells could not be recorded"),
    KafkaUnavailable: ProblemKind(503, "kafka-unavailable", "Kafka does not take events at the moment"),
    TooMuchInFlight: TOO_MUCH_IN_FLIGHT,
    asyncpg.PostgresConnectionError: STORE_UNAVAILABLE,
    asyncpg.CannotConnectNowError: STORE_UNAVAILABLE,
    asyncpg.InterfaceError: STORE_UNAVAILABLE,
    ConnectionError: STORE_UNAVAILABLE,
    TimeoutError: STORE_UNAVAILABLE,
}

EVERYWHERE: Final = (
    authentication.UNAUTHENTICATED,
    authentication.SCOPE_MISSING,
    MALFORMED_JSON,
    INVALID_REQUEST,
    BODY_TOO_LARGE,
    ENCODING_UNSUPPORTED,
    STORE_UNAVAILABLE,
)


def refused_by(*exceptions: type[Exception], among: Problems = PROBLEMS) -> Responses:
    """How a command of the handle lane documents its refusals: those of its context, which `among` holds if not this
    table, and those of every command."""
    kinds = {**PROBLEMS, **among}
    every: tuple[type[Exception], ...] = (IdempotencyKeyReused, VersionConflict)
    return refusals(*EVERYWHERE, *(kinds[exception] for exception in (*every, *exceptions)))
