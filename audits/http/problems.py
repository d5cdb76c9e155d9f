"""How questions about the history are refused: one table for all of them."""

from typing import Final

from audits.as_of.answering import ViewUnknown
from audits.as_of.asking import CutRefused
from audits.as_of.entitled import ProfileUnknown
from audits.as_of.keys import KeyRefused
from audits.as_of.rows import NotByKey, TooManyRows
from audits.as_of.streams import StreamUnknown
from audits.history.asked import BadQuestion
from audits.history.following import NoSuchEvent
from audits.http.asking import ARCHIVE_DAMAGED, AUDITS_BUSY, SOURCE_AWAY, AuditsBusy
from audits.sources import SourceAway
from audits.verifying.proofs import NotProved
from audits.verifying.signed import NotSigned
from infra.archive.errors import ArchiveDamaged
from infra.http.problems import ProblemKind, Problems, Refusal


class NotErased(Refusal):
    """There is no certificate, as nobody was erased."""


class CheckpointUnknown(Refusal):
    """There is no checkpoint of this number."""


QUESTION_INVALID: Final = ProblemKind(422, "question-invalid", "This cannot be asked of the history")
NOT_IN_HISTORY: Final = ProblemKind(404, "not-in-history", "The history has nothing of this name")
NOT_PROVED: Final = ProblemKind(404, "not-proved", "There is no proof of this")

PROBLEMS: Final[Problems] = {
    BadQuestion: QUESTION_INVALID,
    CutRefused: QUESTION_INVALID,
    KeyRefused: QUESTION_INVALID,
    NotByKey: QUESTION_INVALID,
    TooManyRows: QUESTION_INVALID,
    StreamUnknown: NOT_IN_HISTORY,
    ViewUnknown: NOT_IN_HISTORY,
    ProfileUnknown: NOT_IN_HISTORY,
    NoSuchEvent: NOT_IN_HISTORY,
    NotErased: NOT_IN_HISTORY,
    CheckpointUnknown: NOT_IN_HISTORY,
    NotProved: NOT_PROVED,
    SourceAway: SOURCE_AWAY,
    AuditsBusy: AUDITS_BUSY,
    ArchiveDamaged: ARCHIVE_DAMAGED,
    NotSigned: ARCHIVE_DAMAGED,
}
