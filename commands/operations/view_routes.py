"""Versions of views over HTTP, for operators: what `playhead views` does, asked for here, done by `playhead rebuilds`,
and shown by GET /v1/views/requests.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from commands.dependencies import Resources, describe, resources, terms
from commands.fields import Body, NulFree
from commands.handling import Terms
from commands.operations import refusals as r
from commands.operations.problems import PROBLEMS, refused_by
from commands.operations.view_changes import ViewChanges
from commands.replies import Recorded
from events.operations import ViewAction, ViewChangeRequested
from infra.access.authentication import Needs
from infra.access.permissions import Scope

VERSION_MAX: Final = 1_000_000
PACE_MAX: Final = 10_000_000
REQUEST_MAX: Final = 2**31 - 1
WHY: Final = "the fold of sessions is mended"

ViewPath = Annotated[str, Path(min_length=1, max_length=63, pattern=r"^[a-z0-9_]+$", description="as in GET /v1/views")]
VersionPath = Annotated[int, Path(ge=1, le=VERSION_MAX, description="as in GET /v1/views")]
RequestPath = Annotated[
    int, Path(ge=1, le=REQUEST_MAX, description="`version` in the reply to the request", examples=[3])
]
Asked = Annotated[Terms, Depends(terms)]


class ViewBody(Body):
    """`reason`: kept with the request."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": WHY}]})

    reason: Annotated[str, Field(min_length=1, max_length=1000), NulFree] | None = None


class RebuildBody(ViewBody):
    """`max_events_per_s`: a throttle; asked again with another, what is being built takes that one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": WHY, "max_events_per_s": 20_000}]})

    max_events_per_s: Annotated[int, Field(ge=1, le=PACE_MAX)] | None = None


class VerifyBody(ViewBody):
    """`accept`: differences are what its fold is for: it may be swapped in."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": WHY, "accept": False}]})

    accept: bool = False


class SwapBody(ViewBody):
    """`force`: though nobody compared it, or it differs."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": WHY, "force": False}]})

    force: bool = False


class Refused(BaseModel):
    """A view that was left as it is: `problem` is a name of docs/problems.md."""

    view: str
    problem: str
    detail: str


class RebuildsReply(BaseModel):
    """`recorded`: the views that are to be rebuilt, each with its request's number; `ignored`: those of which
    that waits already.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"recorded": {"playback_sessions": 1}, "ignored": [], "refused": []}]}
    )

    recorded: dict[str, int]
    ignored: list[str]
    refused: list[Refused]


def _changes(opened: Annotated[Resources, Depends(resources)]) -> ViewChanges:
    return ViewChanges(opened.pool, opened.handling, opened.settings.view_requests_open_max)


Changes = Annotated[ViewChanges, Depends(_changes)]

router = APIRouter(prefix="/v1/views", tags=["operations"], dependencies=[Depends(Needs(Scope.OPERATIONS_WRITE))])


@router.post("/rebuild", status_code=202, responses=refused_by())
async def rebuild_views(body: RebuildBody, changes: Changes, asked: Asked) -> RebuildsReply:
    """Have every view rebuilt, one after the other. An Idempotency-Key is of no use here: what waits already is not
    asked for twice in any case.
    """
    request = ViewChangeRequested(
        view="", number=0, action=ViewAction.REBUILD, max_events_per_s=body.max_events_per_s, reason=body.reason
    )
    reply = RebuildsReply(recorded={}, ignored=[], refused=[])
    async for one in changes.request_for_all(request, Terms(asked.context)):
        if one.refusal is not None:
            problem = PROBLEMS[type(one.refusal)].slug
            reply.refused.append(Refused(view=one.view, problem=problem, detail=one.refusal.detail))
        elif one.outcome is not None and one.outcome.recorded:
            reply.recorded[one.view] = one.outcome.version
        else:
            reply.ignored.append(one.view)
    return reply


@router.post("/{view}/rebuild", status_code=202, responses=refused_by(r.ViewUnknown, r.ViewBusy))
async def rebuild_view(
    view: ViewPath, body: RebuildBody, changes: Changes, asked: Asked, response: Response
) -> Recorded:
    """Have a new version of a view built beside the live one, until it is ready; what is being built goes on."""
    request = ViewChangeRequested(
        view=view, number=0, action=ViewAction.REBUILD, max_events_per_s=body.max_events_per_s, reason=body.reason
    )
    return await _asked(request, changes, asked, response)


@router.post("/{view}/pause", status_code=202, responses=refused_by(r.ViewUnknown, r.ViewVersionUnfit, r.ViewBusy))
async def pause_rebuild(view: ViewPath, body: ViewBody, changes: Changes, asked: Asked, response: Response) -> Recorded:
    """Have what is being built of a view stand still. It keeps its place: no other rebuild begins meanwhile."""
    request = ViewChangeRequested(view=view, number=0, action=ViewAction.PAUSE, reason=body.reason)
    return await _asked(request, changes, asked, response)


@router.post("/{view}/resume", status_code=202, responses=refused_by(r.ViewUnknown, r.ViewVersionUnfit, r.ViewBusy))
async def resume_rebuild(
    view: ViewPath, body: ViewBody, changes: Changes, asked: Asked, response: Response
) -> Recorded:
    """Have it go on."""
    request = ViewChangeRequested(view=view, number=0, action=ViewAction.RESUME, reason=body.reason)
    return await _asked(request, changes, asked, response)


@router.post("/{view}/rollback", status_code=202, responses=refused_by(r.ViewUnknown, r.ViewVersionUnfit, r.ViewBusy))
async def roll_view_back(
    view: ViewPath, body: ViewBody, changes: Changes, asked: Asked, response: Response
) -> Recorded:
    """Have the version live that was before: brought up to date first, by the release whose fold it has."""
    request = ViewChangeRequested(view=view, number=0, action=ViewAction.ROLLBACK, reason=body.reason)
    return await _asked(request, changes, asked, response)


OF_A_VERSION: Final = refused_by(r.ViewUnknown, r.ViewVersionUnknown, r.ViewVersionUnfit, r.ViewBusy)


@router.post("/{view}/versions/{version}/verify", status_code=202, responses=OF_A_VERSION)
async def verify_version(
    view: ViewPath, version: VersionPath, body: VerifyBody, changes: Changes, asked: Asked, response: Response
) -> Recorded:
    """Have a version that is ready compared with the live one, at the same offsets."""
    request = ViewChangeRequested(
        view=view, number=0, action=ViewAction.VERIFY, version=version, accept=body.accept, reason=body.reason
    )
    return await _asked(request, changes, asked, response)


@router.post(
    "/{view}/versions/{version}/swap",
    status_code=202,
    responses=refused_by(r.ViewUnknown, r.ViewVersionUnknown, r.ViewVersionUnfit, r.ViewVersionUnverified, r.ViewBusy),
)
async def swap_version(
    view: ViewPath, version: VersionPath, body: SwapBody, changes: Changes, asked: Asked, response: Response
) -> Recorded:
    """Have a version that is ready live in one step. Its verification must have found it as the live one, or accepted
    how it differs.
    """
    request = ViewChangeRequested(
        view=view, number=0, action=ViewAction.SWAP, version=version, force=body.force, reason=body.reason
    )
    return await _asked(request, changes, asked, response)


@router.post("/{view}/versions/{version}/retire", status_code=202, responses=OF_A_VERSION)
async def retire_version(
    view: ViewPath, version: VersionPath, body: ViewBody, changes: Changes, asked: Asked, response: Response
) -> Recorded:
    """Have a version that is not live dropped, with its rows."""
    request = ViewChangeRequested(view=view, number=0, action=ViewAction.RETIRE, version=version, reason=body.reason)
    return await _asked(request, changes, asked, response)


@router.post("/{view}/requests/{number}/cancel", responses=refused_by(r.ViewRequestUnknown, r.ViewRequestBegun))
async def cancel_view_request(
    view: ViewPath, number: RequestPath, body: ViewBody, changes: Changes, asked: Asked, response: Response
) -> Recorded:
    """Have what was asked of a view not done, as long as it waits. What is under way is paused, or its version is
    retired.
    """
    outcome = await changes.cancel(view, number, body.reason, asked)
    describe(response, outcome)
    return Recorded.of(outcome)


async def _asked(request: ViewChangeRequested, changes: ViewChanges, asked: Terms, response: Response) -> Recorded:
    """The reply's `version` is the number of the request, if one was recorded."""
    outcome = await changes.request(request, asked)
    describe(response, outcome)
    return Recorded.of(outcome)
