"""The life of a title over HTTP: drafted, revised, scheduled, published, withdrawn, discarded. The same routes are
served for titles of their own (/titles/{title_id}) and for episodes (/series/{series_id}/episodes/{title_id}).
"""

from typing import Annotated, Final, TypedDict

from fastapi import APIRouter, Depends, Path, Request, Response

from commands import errors
from commands.catalog import refusals
from commands.catalog.bodies import NewTitleBody, ScheduleBody, WithdrawBody
from commands.catalog.commands import (
    DiscardTitle,
    DraftTitle,
    PublishTitle,
    ReviseTitle,
    ScheduleTitle,
    UnscheduleTitle,
    WithdrawTitle,
)
from commands.catalog.detail_bodies import RevisionBody
from commands.catalog.replying import OF_DETAILS, OF_SERIES, Asked, AskedWithKey, Opened, answer
from commands.replies import Recorded
from events.types import SeriesId, TitleId
from infra.ids import new_id

SeriesIdPath = Annotated[SeriesId, Path(max_length=64, pattern="^[0-9a-zA-Z_-]+$")]
TitleIdPath = Annotated[TitleId, Path(max_length=64, pattern="^[0-9a-zA-Z_-]+$")]

OF_A_TITLE: Final = (refusals.TitleUnknown, refusals.TitleIsDiscarded, *OF_SERIES)

router = APIRouter()
life = APIRouter()


class Address(TypedDict):
    """Which title a request is about."""

    title_id: TitleId
    series_id: SeriesId | None


async def _own(request: Request, title_id: TitleIdPath) -> None:
    request.state.address = Address(title_id=title_id, series_id=None)


async def _episode(request: Request, series_id: SeriesIdPath, title_id: TitleIdPath) -> None:
    request.state.address = Address(title_id=title_id, series_id=series_id)


async def _address(request: Request) -> Address:
    # Not there: an id in the path was refused, which FastAPI answers when it has asked all dependencies.
    address: Address | None = getattr(request.state, "address", None)
    return address or Address(title_id=TitleId(""), series_id=None)


Of = Annotated[Address, Depends(_address)]


@router.post(
    "/titles",
    status_code=201,
    responses=errors.refused_by(
        *OF_SERIES, refusals.SeasonUnknown, refusals.EpisodeNumberTaken, refusals.EpisodeNumberMissing, *OF_DETAILS
    ),
)
async def draft_title(body: NewTitleBody, response: Response, opened: Opened, asked: AskedWithKey) -> Recorded:
    """Begin a draft of any kind. Location is where the title is changed from now on."""
    command = DraftTitle(
        title_id=TitleId(new_id()),
        series_id=SeriesId(body.series_id) if body.series_id else None,
        kind=body.kind,
        details=body.details(),
        number=body.number(),
    )
    reply = await answer(opened, response, command, asked)
    place = f"series/{body.series_id}/episodes" if body.series_id else "titles"
    response.headers["Location"] = f"/v1/catalog/{place}/{reply.id}"
    return reply


@life.patch("", responses=errors.refused_by(*OF_A_TITLE, refusals.TitleIncomplete, *OF_DETAILS))
async def revise_title(of: Of, body: RevisionBody, response: Response, opened: Opened, asked: Asked) -> Recorded:
    """Change some of a title's details. Those of a published title are a new revision, which viewers see."""
    return await answer(opened, response, ReviseTitle(**of, changes=body.changes()), asked)


@life.post(
    "/schedule",
    responses=errors.refused_by(
        *OF_A_TITLE, refusals.AlreadyPublished, refusals.PublishTimePast, refusals.TitleIncomplete
    ),
)
async def schedule_title(
    of: Of, body: ScheduleBody, response: Response, opened: Opened, asked: AskedWithKey
) -> Recorded:
    """Publish a title at a time; scheduling it again sets another time."""
    command = ScheduleTitle(**of, publish_at=body.publish_at)
    return await answer(opened, response, command, asked)


@life.post("/unschedule", responses=errors.refused_by(*OF_A_TITLE, refusals.TitleNotScheduled))
async def unschedule_title(of: Of, response: Response, opened: Opened, asked: AskedWithKey) -> Recorded:
    """Do not publish a title at its time."""
    return await answer(opened, response, UnscheduleTitle(**of), asked)


@life.post("/publish", responses=errors.refused_by(*OF_A_TITLE, refusals.TitleIncomplete, refusals.SeriesNotPublished))
async def publish_title(of: Of, response: Response, opened: Opened, asked: AskedWithKey) -> Recorded:
    """Publish a title now: a draft, a scheduled one, or a withdrawn one again."""
    return await answer(opened, response, PublishTitle(**of), asked)


@life.post("/withdraw", responses=errors.refused_by(*OF_A_TITLE, refusals.TitleNotPublished, refusals.AlreadyWithdrawn))
async def withdraw_title(
    of: Of, body: WithdrawBody, response: Response, opened: Opened, asked: AskedWithKey
) -> Recorded:
    """Take a published title away from viewers, and a series' episodes with it. It may be published again."""
    return await answer(opened, response, WithdrawTitle(**of, reason=body.reason), asked)


@life.post(
    "/discard",
    responses=errors.refused_by(
        *OF_A_TITLE, refusals.TitleWasPublished, refusals.TitleIsScheduled, refusals.SeriesHasEpisodes
    ),
)
async def discard_title(of: Of, response: Response, opened: Opened, asked: AskedWithKey) -> Recorded:
    """Throw a draft away."""
    return await answer(opened, response, DiscardTitle(**of), asked)


router.include_router(life, prefix="/titles/{title_id}", dependencies=[Depends(_own)])
router.include_router(life, prefix="/series/{series_id}/episodes/{title_id}", dependencies=[Depends(_episode)])
