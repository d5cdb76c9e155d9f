"""How catalog routes refuse what is not there for the caller."""

from infra.http.problems import ProblemKind, Refusal


class TitleUnknown(Refusal):
    """The catalog has no such title or series, or not for this caller: drafts and withdrawn titles are editors'."""


TITLE_UNKNOWN = ProblemKind(404, "title-unknown", "The catalog has no such title")
