"""How the commands API refuses: every exception and the problem that it becomes, on one screen (docs/problems.md)."""

from typing import Final

import asyncpg

from commands.catalog import refusals as catalog
from commands.handling import VersionConflict
from commands.payments.refusals import PaymentNotRecorded
from commands.playback import refusals as playback
from infra import authentication
from infra.event_log import IdempotencyKeyReused
from infra.openapi import Responses, refusals
from infra.payments.signatures import WebhookSignatureInvalid, WebhookStale
from infra.payments.webhooks import WebhookMalformed
from infra.problems import BODY_TOO_LARGE, ENCODING_UNSUPPORTED, INVALID_REQUEST, MALFORMED_JSON, ProblemKind, Problems
from infra.publisher import KafkaUnavailable

STORE_UNAVAILABLE = ProblemKind(503, "store-unavailable", "A store that this command needs does not answer")

PROBLEMS: Final[Problems] = {
    **authentication.PROBLEMS,
    IdempotencyKeyReused: ProblemKind(422, "idempotency-key-reused", "The Idempotency-Key came with another request"),
    VersionConflict: ProblemKind(412, "version-conflict", "The stream has moved on since it was read"),
    catalog.AlreadyPublished: ProblemKind(409, "already-published", "Something else has this id"),
    catalog.SeriesUnknown: ProblemKind(404, "series-unknown", "There is no such series"),
    catalog.SeasonUnknown: ProblemKind(409, "season-unknown", "The series has no such season"),
    catalog.EpisodeNumberTaken: ProblemKind(409, "episode-number-taken", "The season has an episode of this number"),
    catalog.CreditsOutsideTitle: ProblemKind(422, "credits-outside-title", "The credits begin after the title ends"),
    catalog.WindowEndsBeforeItStarts: ProblemKind(422, "window-empty", "An availability window is empty"),
    playback.TitleUnknown: ProblemKind(404, "title-unknown", "There is no such title"),
    playback.TitleNotPlayable: ProblemKind(409, "title-not-playable", "This title groups others and is not played"),
    playback.ProfileRequired: ProblemKind(403, "profile-required", "Only a viewer's profile can play"),
    playback.SessionAlreadyStarted: ProblemKind(409, "session-already-started", "This session was started before"),
    playback.SessionUnknown: ProblemKind(404, "session-unknown", "There is no such session"),
    playback.SessionNotYours: ProblemKind(403, "session-not-yours", "The playback token is another session's"),
    playback.PlaybackTokenInvalid: ProblemKind(401, "playback-token-invalid", "The playback token does not hold"),
    playback.ReportMalformed: MALFORMED_JSON,
    playback.ReportInvalid: ProblemKind(422, "report-invalid", "The report does not have the shape of one"),
    playback.ReportEmpty: ProblemKind(422, "report-empty", "The report holds no events"),
    playback.ReportTooLarge: ProblemKind(413, "report-too-large", "The report holds more events than one may"),
    WebhookSignatureInvalid: ProblemKind(401, "webhook-signature-invalid", "The webhook's signature does not hold"),
    WebhookStale: ProblemKind(400, "webhook-stale", "The webhook was signed too long ago, or in the future"),
    WebhookMalformed: ProblemKind(400, "webhook-malformed", "The webhook is signed and cannot be read"),
    PaymentNotRecorded: ProblemKind(503, "payment-not-recorded", "What the webhook tells could not be recorded"),
    KafkaUnavailable: ProblemKind(503, "kafka-unavailable", "Kafka does not take events at the moment"),
    asyncpg.PostgresConnectionError: STORE_UNAVAILABLE,
    asyncpg.CannotConnectNowError: STORE_UNAVAILABLE,
    asyncpg.InterfaceError: STORE_UNAVAILABLE,
    ConnectionError: STORE_UNAVAILABLE,
    TimeoutError: STORE_UNAVAILABLE,
}

EVERYWHERE: Final = (
    authentication.UNAUTHENTICATED,
    authentication.FORBIDDEN,
    MALFORMED_JSON,
    INVALID_REQUEST,
    BODY_TOO_LARGE,
    ENCODING_UNSUPPORTED,
    STORE_UNAVAILABLE,
)


def refused_by(*exceptions: type[Exception]) -> Responses:
    """How a command of the handle lane documents its refusals: those of its context and those of every command."""
    common: tuple[type[Exception], ...] = (IdempotencyKeyReused, VersionConflict)
    return refusals(*EVERYWHERE, *(PROBLEMS[exception] for exception in (*common, *exceptions)))
