"""Dead letters over HTTP, for operators: tried again or discarded, one or many."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from commands.dependencies import Resources, describe, resources, terms
from commands.fields import Body, NulFree
from commands.handling import Terms
from commands.operations import refusals as r
from commands.operations.letters import Decided, Letters, Which
from commands.operations.problems import PROBLEMS, refused_by
from commands.replies import Recorded
from infra.access.authentication import Needs
from infra.access.permissions import Scope

MANY_MAX: Final = 500
"""Letters of one request: each is a transaction."""

Reason = Annotated[str, Field(min_length=1, max_length=1000), NulFree]
LetterIdPath = Annotated[
    str,
    Path(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$", description="projection/topic/partition/offset"),
]
Asked = Annotated[Terms, Depends(terms)]


class RetryBody(Body):
    """`force`: even when the record's stream has later events, which its views may then contradict."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "the fold is mended", "force": False}]})

    reason: Reason | None = None
    force: bool = False


class DiscardBody(Body):
    """Why the record is not tried again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "a record that a test of ours produced"}]})

    reason: Reason


class LettersBody(Body):
    """Which open letters are meant; what is left out is any. `limit`: the oldest so many."""

    projection: Annotated[str, Field(min_length=1, max_length=100), NulFree] | None = None
    topic: Annotated[str, Field(min_length=1, max_length=100), NulFree] | None = None
    reason: Annotated[str, Field(min_length=1, max_length=100), NulFree] | None = None
    limit: Annotated[int, Field(ge=1, le=MANY_MAX)] = 100

    @property
    def which(self) -> Which:
        """As the letters are looked for."""
        return Which(self.projection, self.topic, self.reason)


WHICH: Final[dict[str, Any]] = {
    "projection": "redis",
    "topic": "playback.events",
    "reason": "fold_failed",
    "limit": 100,
}


class RetryManyBody(RetryBody):
    """Which letters are tried again."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"letters": WHICH, "reason": "the fold is mended", "force": False}]}
    )

    letters: LettersBody


class DiscardManyBody(DiscardBody):
    """Which letters are discarded."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"letters": WHICH, "reason": "a test of ours"}]})

    letters: LettersBody


class Refused(BaseModel):
    """A letter that was left as it is: `problem` is a name of docs/problems.md."""

    letter_id: str
    problem: str
    detail: str


class ManyReply(BaseModel):
    """`recorded`: the letters that it was recorded for; `ignored`: how many were so already."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"recorded": ["redis/playback.events/3/4711"], "ignored": 0, "refused": []}],
        }
    )

    recorded: list[str]
    ignored: int
    refused: list[Refused]


def _letters(opened: Annotated[Resources, Depends(resources)]) -> Letters:
    return Letters(opened.pool, opened.handling)


At = Annotated[Letters, Depends(_letters)]

router = APIRouter(
    prefix="/v1/dead-letters", tags=["operations"], dependencies=[Depends(Needs(Scope.OPERATIONS_WRITE))]
)


@router.post("/retry", responses=refused_by())
async def retry_dead_letters(body: RetryManyBody, letters: At, asked: Asked) -> ManyReply:
    """Have many records tried again by the projections that set them aside. An Idempotency-Key is of no use here: what
    is under way is not repeated in any case.
    """
    ids = await letters.open(body.letters.which, body.letters.limit)
    plain = _unkeyed(asked)
    return await _told(letters.retry_all(ids, plain, reason=body.reason, force=body.force))


@router.post("/discard", responses=refused_by())
async def discard_dead_letters(body: DiscardManyBody, letters: At, asked: Asked) -> ManyReply:
    """Have many records tried never again."""
    ids = await letters.open(body.letters.which, body.letters.limit)
    return await _told(letters.discard_all(ids, _unkeyed(asked), reason=body.reason))


@router.post(
    "/{letter_id:path}/retry",
    responses=refused_by(r.DeadLetterUnknown, r.DeadLetterIsDiscarded, r.DeadLetterNotRetriable, r.DeadLetterLate),
)
async def retry_dead_letter(
    letter_id: LetterIdPath, body: RetryBody, letters: At, asked: Asked, response: Response
) -> Recorded:
    """Have a record tried again by the projection that set it aside, for the views that did not take it. Nothing is
    recorded while a retry is under way, or when one was taken.
    """
    outcome = await letters.retry(letter_id, asked, reason=body.reason, force=body.force)
    describe(response, outcome)
    return Recorded.of(outcome)


@router.post("/{letter_id:path}/discard", responses=refused_by(r.DeadLetterUnknown, r.DeadLetterIsApplied))
async def discard_dead_letter(
    letter_id: LetterIdPath, body: DiscardBody, letters: At, asked: Asked, response: Response
) -> Recorded:
    """Have a record tried never again."""
    outcome = await letters.discard(letter_id, asked, reason=body.reason)
    describe(response, outcome)
    return Recorded.of(outcome)


def _unkeyed(asked: Terms) -> Terms:
    """The terms of each of many commands: a key and a version would be of one."""
    return Terms(asked.context)


async def _told(decided: AsyncIterator[Decided]) -> ManyReply:
    reply = ManyReply(recorded=[], ignored=0, refused=[])
    async for one in decided:
        if one.refusal is not None:
            problem = PROBLEMS[type(one.refusal)].slug
            reply.refused.append(Refused(letter_id=one.letter_id, problem=problem, detail=one.refusal.detail))
        elif one.outcome is not None and one.outcome.recorded:
            reply.recorded.append(one.letter_id)
        else:
            reply.ignored += 1
    return reply
