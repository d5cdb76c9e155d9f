"""What the catalog's routes share: whom they ask, how they answer, and the refusals that many of them have."""

from typing import Annotated, Final

from fastapi import Depends, Response

from commands.catalog import refusals
from commands.catalog.commands import CatalogCommand
from commands.catalog.deciding import decide
from commands.dependencies import Resources, describe, keyed_terms, resources, terms
from commands.handling import Terms
from commands.replies import Recorded

Opened = Annotated[Resources, Depends(resources)]
Asked = Annotated[Terms, Depends(terms)]
AskedWithKey = Annotated[Terms, Depends(keyed_terms)]

OF_DETAILS: Final = (
    refusals.TitleTooLarge,
    refusals.TextsInvalid,
    refusals.MaturityInvalid,
    refusals.DurationNotAllowed,
    refusals.CreditsOutsideTitle,
    refusals.MarkerOutsideTitle,
    refusals.WindowEndsBeforeItStarts,
    refusals.TerritoryUnknown,
    refusals.WindowsOverlap,
    refusals.NextTitleNotAllowed,
    refusals.NextTitleUnknown,
    refusals.NextTitleCycle,
)
OF_SERIES: Final = (
    refusals.SeriesUnknown,
    refusals.NotASeries,
    refusals.TitleIsDiscarded,
    refusals.SeriesTooLong,
    refusals.TitleTooLarge,
    refusals.TextsInvalid,
)


async def answer(opened: Resources, response: Response, command: CatalogCommand, asked: Terms) -> Recorded:
    """Decide a command; the reply, with its ETag and position."""
    outcome = await decide(opened.handling, command, asked)
    describe(response, outcome)
    return Recorded.of(outcome)
