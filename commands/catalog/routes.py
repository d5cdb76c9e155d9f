"""The catalog's commands over HTTP: publishing at once, seasons, and the order of a series. titles.py has the rest.

A route makes the command; the decider decides; the reply says what was recorded.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from commands import errors
from commands.catalog import refusals
from commands.catalog.bodies import (
    EpisodeBody,
    EpisodeNumberBody,
    EpisodeOrderBody,
    MovieBody,
    SeasonBody,
    SeasonNameBody,
    SeasonOrderBody,
    SeriesBody,
)
from commands.catalog.commands import (
    AddSeason,
    EpisodeNumber,
    MoveEpisode,
    PublishNewTitle,
    RemoveSeason,
    ReorderEpisodes,
    ReorderSeasons,
    ReviseSeason,
)
from commands.catalog.replying import OF_DETAILS, OF_SERIES, Asked, AskedWithKey, Opened, answer
from commands.catalog.titles import SeriesIdPath, TitleIdPath
from commands.catalog.titles import router as titles
from commands.dependencies import EDITOR
from commands.replies import Recorded
from events.titles import Kind
from events.types import TitleId
from infra.ids import new_id

router = APIRouter(prefix="/v1/catalog", tags=["catalog"], dependencies=[EDITOR])
router.include_router(titles)

SeasonNumberPath = Annotated[int, Path(ge=0, le=10_000)]


@router.post("/movies", status_code=201, responses=errors.refused_by(*OF_DETAILS))
async def publish_movie(body: MovieBody, response: Response, opened: Opened, asked: AskedWithKey) -> Recorded:
    """Publish a film: it can be found, and played inside its availability windows."""
    command = PublishNewTitle(title_id=TitleId(new_id()), kind=Kind.MOVIE, details=body.details())
    return await answer(opened, response, command, asked)


@router.post("/series", status_code=201, responses=errors.refused_by(*OF_DETAILS))
async def publish_series(body: SeriesBody, response: Response, opened: Opened, asked: AskedWithKey) -> Recorded:
    """Publish a series; seasons and episodes follow."""
    command = PublishNewTitle(title_id=TitleId(new_id()), kind=Kind.SERIES, details=body.details())
    return await answer(opened, response, command, asked)


@router.post(
    "/series/{series_id}/seasons",
    status_code=201,
    responses=errors.refused_by(*OF_SERIES, refusals.SeasonNumberTaken),
)
async def add_season(
    series_id: SeriesIdPath, body: SeasonBody, response: Response, opened: Opened, asked: AskedWithKey
) -> Recorded:
    """Give a series a season. Adding the same season again changes nothing."""
    command = AddSeason(series_id=series_id, season_number=body.season_number, name=body.name, texts=body.localized())
    return await answer(opened, response, command, asked)


@router.post(
    "/series/{series_id}/episodes",
    status_code=201,
    responses=errors.refused_by(
        *OF_SERIES, refusals.SeasonUnknown, refusals.EpisodeNumberTaken, refusals.SeriesNotPublished, *OF_DETAILS
    ),
)
async def publish_episode(
    series_id: SeriesIdPath, body: EpisodeBody, response: Response, opened: Opened, asked: AskedWithKey
) -> Recorded:
    """Publish an episode into a season of the series."""
    command = PublishNewTitle(
        title_id=TitleId(new_id()),
        series_id=series_id,
        kind=Kind.EPISODE,
        details=body.details(),
        number=body.number(),
    )
    return await answer(opened, response, command, asked)


@router.post("/series/{series_id}/seasons/order", responses=errors.refused_by(*OF_SERIES, refusals.OrderIncomplete))
async def reorder_seasons(
    series_id: SeriesIdPath, body: SeasonOrderBody, response: Response, opened: Opened, asked: AskedWithKey
) -> Recorded:
    """Put the seasons into another order; they share out the same numbers, and their episodes move along."""
    command = ReorderSeasons(series_id=series_id, season_numbers=tuple(body.season_numbers))
    return await answer(opened, response, command, asked)


@router.patch(
    "/series/{series_id}/seasons/{season_number}", responses=errors.refused_by(*OF_SERIES, refusals.SeasonUnknown)
)
async def revise_season(
    series_id: SeriesIdPath,
    season_number: SeasonNumberPath,
    body: SeasonNameBody,
    response: Response,
    opened: Opened,
    asked: Asked,
) -> Recorded:
    """Call a season something else."""
    command = ReviseSeason(series_id=series_id, season_number=season_number, name=body.name, texts=body.localized())
    return await answer(opened, response, command, asked)


@router.delete(
    "/series/{series_id}/seasons/{season_number}",
    responses=errors.refused_by(*OF_SERIES, refusals.SeasonUnknown, refusals.SeasonHasEpisodes),
)
async def remove_season(
    series_id: SeriesIdPath, season_number: SeasonNumberPath, response: Response, opened: Opened, asked: Asked
) -> Recorded:
    """Take a season without episodes away."""
    command = RemoveSeason(series_id=series_id, season_number=season_number)
    return await answer(opened, response, command, asked)


@router.post(
    "/series/{series_id}/seasons/{season_number}/episodes/order",
    responses=errors.refused_by(*OF_SERIES, refusals.SeasonUnknown, refusals.OrderIncomplete),
)
async def reorder_episodes(
    series_id: SeriesIdPath,
    season_number: SeasonNumberPath,
    body: EpisodeOrderBody,
    response: Response,
    opened: Opened,
    asked: AskedWithKey,
) -> Recorded:
    """Put a season's episodes into another order; they share out the numbers that they have."""
    title_ids = tuple(TitleId(title_id) for title_id in body.title_ids)
    command = ReorderEpisodes(series_id=series_id, season_number=season_number, title_ids=title_ids)
    return await answer(opened, response, command, asked)


@router.post(
    "/series/{series_id}/episodes/{title_id}/move",
    responses=errors.refused_by(
        *OF_SERIES,
        refusals.TitleUnknown,
        refusals.SeasonUnknown,
        refusals.EpisodeNumberTaken,
    ),
)
async def move_episode(
    series_id: SeriesIdPath,
    title_id: TitleIdPath,
    body: EpisodeNumberBody,
    response: Response,
    opened: Opened,
    asked: AskedWithKey,
) -> Recorded:
    """Give an episode another number, or put it into another season."""
    number = EpisodeNumber(body.season_number, body.episode_number)
    command = MoveEpisode(series_id=series_id, title_id=title_id, number=number)
    return await answer(opened, response, command, asked)
