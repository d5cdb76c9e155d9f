"""What routes ask of a request: who it is from, the ids in its path, its page, and the position to wait for."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Header, Path, Query, Request
from fastapi.exceptions import RequestValidationError

from infra.access.authentication import SCOPE_MISSING, UNAUTHENTICATED, Needs, principal
from infra.access.permissions import Principal, Scope
from infra.cursors import CURSOR_INVALID, MAX_CHARS
from infra.http.problems import INVALID_REQUEST, ProblemKind
from infra.personal_data import MasterKey
from infra.positions import HEADER, Position, parse_positions
from infra.settings import Settings
from query_api.authorization import NOT_YOUR_PROFILE, check_profile
from query_api.read_your_writes import VIEW_BEHIND
from query_api.sources import Sources
from query_api.stores import STORE_UNAVAILABLE

ID_MAX_CHARS = 128
ID_PATTERN = r"^[^\x00-\x1f\x7f]+$"  # control characters are in no id, and Postgres takes no null byte
POSITION_HEADER_MAX_CHARS = 4096
CURSOR_EXAMPLE: Final = "Vd2sC0ZkqWcBq1n8rV5iYHsiaXNzdWVkX2F0IjoiMjAyNi0wMS0zMVQwOTozMDowMFoifQ"
POSITION_EXAMPLE: Final = "catalog.events:3:17"

POSITION_INVALID = ProblemKind(400, "position-invalid", "The Playhead-Position header cannot be read")

EVERY_READ = (UNAUTHENTICATED, SCOPE_MISSING, INVALID_REQUEST, STORE_UNAVAILABLE)
EVERY_VIEW = (*EVERY_READ, POSITION_INVALID, VIEW_BEHIND)
EVERY_PAGE = (CURSOR_INVALID,)
EVERY_PROFILE_VIEW = (*EVERY_VIEW, NOT_YOUR_PROFILE)

Caller = Annotated[Principal, Depends(principal)]
"""Who asks; what they need is declared beside it."""
Watcher = Annotated[Principal, Depends(Needs(Scope.WATCHING, Scope.PLAYBACK_READ))]
"""Who asks for what somebody watched: see authorization.py for whose."""
Operator = Annotated[Principal, Depends(Needs(Scope.OPERATIONS_READ))]
READER: Final = Depends(Needs(Scope.CATALOG_READ))
"""For routes of the catalog."""


def _sources(request: Request) -> Sources:
    sources: Sources = request.app.state.sources
    return sources


def settings_of(request: Request) -> Settings:
    """The settings that the app was created with."""
    settings: Settings = request.app.state.settings
    return settings


def _id(description: str, example: str) -> object:
    return Path(min_length=1, max_length=ID_MAX_CHARS, pattern=ID_PATTERN, description=description, examples=[example])


ProfileId = Annotated[str, _id("A viewer's profile", "viewer-1")]
SessionId = Annotated[str, _id("A playback session, as StartPlayback named it", "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d")]
TitleId = Annotated[str, _id("A film, an episode or a series", "made-up-s1e1")]
SeriesId = Annotated[str, _id("A series", "made-up")]


async def own_profile(caller: Watcher, profile_id: ProfileId) -> str:
    """The profile in the path, once it is the caller's or the caller may see all. Raises NotYourProfile."""
    check_profile(caller, profile_id)
    return profile_id


async def given_limit(
    request: Request,
    limit: Annotated[int | None, Query(ge=1, description="Most rows in the reply", examples=[20])] = None,
) -> int | None:
    """How many rows a request wants: bounded by settings.page_max_rows. Raises RequestValidationError."""
    most = settings_of(request).page_max_rows
    if limit is not None and limit > most:
        reason = f"Input should be less than or equal to {most}"
        raise RequestValidationError([{"type": "less_than_equal", "loc": ("query", "limit"), "msg": reason}])
    return limit


async def page_limit(request: Request, limit: Annotated[int | None, Depends(given_limit)]) -> int:
    """How many rows a page has."""
    return default_limit(settings_of(request)) if limit is None else limit


def default_limit(settings: Settings) -> int:
    """How many rows a page has when a request does not say."""
    return min(settings.page_default_rows, settings.page_max_rows)


@dataclass(frozen=True)
class AskedPage:
    """Which page of a listing a request wants: at most `limit` rows, after `cursor` (None: from the beginning).
    `is_limited`: the request itself said how many.
    """

    limit: int
    cursor: str | None
    is_limited: bool = False


async def asked_page(
    request: Request,
    limit: Annotated[int | None, Depends(given_limit)],
    cursor: Annotated[
        str | None,
        Query(
            max_length=MAX_CHARS,
            description="next_cursor of the page before; left out for the first page",
            examples=[CURSOR_EXAMPLE],
        ),
    ] = None,
) -> AskedPage:
    """The page that a request wants."""
    if limit is None:
        return AskedPage(default_limit(settings_of(request)), cursor)
    return AskedPage(limit, cursor, is_limited=True)


async def positions(
    header: Annotated[
        str | None,
        Header(
            alias=HEADER,
            max_length=POSITION_HEADER_MAX_CHARS,
            description="What a command's reply held: the query waits, bounded, until its view has applied it",
            examples=[POSITION_EXAMPLE],
        ),
    ] = None,
) -> list[Position]:
    """The positions that the view must have applied. Raises BadPosition."""
    return [] if header is None else parse_positions(header)


async def _master(request: Request) -> MasterKey:
    master: MasterKey = request.app.state.master_key
    return master


OwnProfile = Annotated[str, Depends(own_profile)]
From = Annotated[Sources, Depends(_sources)]
ReadSettings = Annotated[Settings, Depends(settings_of)]
Master = Annotated[MasterKey, Depends(_master)]
"""Opens the keys of persons that rows hold."""
Limit = Annotated[int, Depends(page_limit)]
Positions = Annotated[list[Position], Depends(positions)]
Page = Annotated[AskedPage, Depends(asked_page)]
