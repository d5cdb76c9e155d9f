"""The catalog's commands over HTTP. A route makes the command; the decider decides; the reply says what was
recorded.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from commands import errors
from commands.catalog.bodies import EpisodeBody, MovieBody, SeasonBody, SeriesBody
from commands.catalog.decider import CATALOG, AddSeason, CatalogCommand, PublishEpisode, PublishMovie, PublishSeries
from commands.catalog.refusals import (
    AlreadyPublished,
    CreditsOutsideTitle,
    EpisodeNumberTaken,
    SeasonUnknown,
    SeriesUnknown,
    WindowEndsBeforeItStarts,
)
from commands.dependencies import Resources, describe, editor, resources, terms
from commands.handling import Outcome, Target, Terms
from commands.replies import Recorded
from events.types import SeriesId, TitleId
from infra.ids import new_id

router = APIRouter(prefix="/v1/catalog", tags=["catalog"], dependencies=[Depends(editor)])

Opened = Annotated[Resources, Depends(resources)]
Asked = Annotated[Terms, Depends(terms)]
SeriesIdPath = Annotated[SeriesId, Path(max_length=64, pattern="^[0-9a-zA-Z_-]+$")]


def _movie(movie_id: str) -> Target:
    return Target(movie_id, f"catalog.title-{movie_id}")


def _in_series(series_id: SeriesId, subject: str | None = None) -> Target:
    return Target(subject or series_id, f"catalog.title-{series_id}")


async def _handle(
    opened: Resources, response: Response, command: CatalogCommand, target: Target, asked: Terms
) -> Outcome:
    outcome = await opened.handling.handle(command, decider=CATALOG, target=target, terms=asked)
    describe(response, outcome)
    return outcome


@router.post("/movies", status_code=201, responses=errors.refused_by(CreditsOutsideTitle, WindowEndsBeforeItStarts))
async def publish_movie(body: MovieBody, response: Response, opened: Opened, asked: Asked) -> Recorded:
    """Publish a film: it can be found, and played inside its availability windows."""
    title_id = TitleId(new_id())
    command = PublishMovie(
        title_id=title_id,
        name=body.name,
        synopsis=body.synopsis,
        duration_ms=body.duration_ms,
        credits_start_ms=body.credits_start_ms,
        maturity=body.maturity.value_object(),
        availability=tuple(window.value_object() for window in body.availability),
    )
    return Recorded.of(await _handle(opened, response, command, _movie(title_id), asked))


@router.post("/series", status_code=201, responses=errors.refused_by(AlreadyPublished))
async def publish_series(body: SeriesBody, response: Response, opened: Opened, asked: Asked) -> Recorded:
    """Publish a series; seasons and episodes follow."""
    series_id = SeriesId(new_id())
    command = PublishSeries(
        series_id=series_id, name=body.name, synopsis=body.synopsis, maturity=body.maturity.value_object()
    )
    return Recorded.of(await _handle(opened, response, command, _in_series(series_id), asked))


@router.post(
    "/series/{series_id}/seasons", status_code=201, responses=errors.refused_by(SeriesUnknown, AlreadyPublished)
)
async def add_season(
    series_id: SeriesIdPath, body: SeasonBody, response: Response, opened: Opened, asked: Asked
) -> Recorded:
    """Give a series a season. Adding the same season again changes nothing."""
    command = AddSeason(series_id=series_id, season_number=body.season_number, name=body.name)
    return Recorded.of(await _handle(opened, response, command, _in_series(series_id), asked))


@router.post(
    "/series/{series_id}/episodes",
    status_code=201,
    responses=errors.refused_by(
        SeriesUnknown, SeasonUnknown, EpisodeNumberTaken, CreditsOutsideTitle, WindowEndsBeforeItStarts
    ),
)
async def publish_episode(
    series_id: SeriesIdPath, body: EpisodeBody, response: Response, opened: Opened, asked: Asked
) -> Recorded:
    """Publish an episode into a season of the series."""
    title_id = TitleId(new_id())
    command = PublishEpisode(
        series_id=series_id,
        title_id=title_id,
        season_number=body.season_number,
        episode_number=body.episode_number,
        name=body.name,
        synopsis=body.synopsis,
        duration_ms=body.duration_ms,
        credits_start_ms=body.credits_start_ms,
        maturity=body.maturity.value_object(),
        availability=tuple(window.value_object() for window in body.availability),
    )
    return Recorded.of(await _handle(opened, response, command, _in_series(series_id, title_id), asked))
