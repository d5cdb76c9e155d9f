"""Commands to the catalog, and the histories that bring a title into each state, for tests of what it allows."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec import structs

from commands.catalog.changes import DetailChanges
from commands.catalog.commands import (
    AddSeason,
    DiscardTitle,
    DraftTitle,
    EpisodeNumber,
    ImportSeason,
    ImportTitle,
    MoveEpisode,
    PublishDueTitle,
    PublishNewTitle,
    PublishTitle,
    RemoveSeason,
    ReorderEpisodes,
    ReorderSeasons,
    RequireFollower,
    ReviseSeason,
    ReviseTitle,
    ScheduleTitle,
    UnscheduleTitle,
    WithdrawTitle,
)
from commands.catalog.decider import CATALOG
from events.catalog import (
    SeasonAdded,
    TitleDiscarded,
    TitleDrafted,
    TitlePublished,
    TitleScheduled,
    TitleUnscheduled,
    TitleWithdrawn,
)
from events.envelope import Event
from events.titles import EpisodePlace, Kind, Status, TitleDetails
from events.types import SeriesId, TitleId
from tests.builders import episode_details, series_details, title_details
from tests.spec import NOON, Spec

catalog = Spec(CATALOG)

MOVIE: Final = TitleId("sintel")
SERIES: Final = SeriesId("harbour")
PILOT: Final = TitleId("harbour-s1e1")
SOON: Final = NOON + timedelta(hours=1)
NEW_YEAR: Final = datetime(2027, 1, 1, tzinfo=UTC)
REASON: Final = "The licence ended."
FILM_DETAILS: Final = title_details("Sintel")
SERIES_DETAILS: Final = series_details()
PILOT_DETAILS: Final = episode_details("Pilot")
FIRST: Final = EpisodeNumber(1, 1)
PLACE: Final = EpisodePlace(SERIES, "Harbour", 1, 1)


def kind_of(title_id: TitleId) -> Kind:
    return {MOVIE: Kind.MOVIE, TitleId(SERIES): Kind.SERIES, PILOT: Kind.EPISODE}[title_id]


def details_of(title_id: TitleId) -> TitleDetails:
    return {MOVIE: FILM_DETAILS, TitleId(SERIES): SERIES_DETAILS, PILOT: PILOT_DETAILS}[title_id]


def about(title_id: TitleId) -> dict[str, Any]:
    """What every event of a title says."""
    return {"title_id": title_id, "kind": kind_of(title_id), "place": PLACE if title_id == PILOT else None}


def drafted(title_id: TitleId, **changes: Any) -> TitleDrafted:
    return TitleDrafted(**about(title_id), details=structs.replace(details_of(title_id), **changes))


def scheduled(title_id: TitleId, at: datetime = SOON) -> TitleScheduled:
    return TitleScheduled(**about(title_id), details=details_of(title_id), revision=1, publish_at=at)


def published(title_id: TitleId, **changes: Any) -> TitlePublished:
    return TitlePublished(**about(title_id), details=details_of(title_id), **changes)


def withdrawn(title_id: TitleId, **changes: Any) -> TitleWithdrawn:
    return TitleWithdrawn(**{**about(title_id), "reason": REASON, **changes})


def histories(title_id: TitleId) -> dict[str, tuple[Event, ...]]:
    """How a title comes into each state. "returning": withdrawn, and scheduled to come back."""
    seen = (published(title_id), withdrawn(title_id))
    return {
        "absent": (),
        "draft": (drafted(title_id),),
        "scheduled": (drafted(title_id), scheduled(title_id)),
        "unscheduled": (
            drafted(title_id),
            scheduled(title_id),
            TitleUnscheduled(**about(title_id), status=Status.DRAFT),
        ),
        "published": (published(title_id),),
        "withdrawn": seen,
        "returning": (*seen, scheduled(title_id)),
        "discarded": (drafted(title_id), TitleDiscarded(**about(title_id))),
    }


def commands_to(title_id: TitleId) -> dict[str, Any]:
    """Each command to a title, by its class' name."""
    to: dict[str, Any] = {"title_id": title_id, "series_id": SERIES if title_id == PILOT else None}
    new = {
        **to,
        "kind": kind_of(title_id),
        "details": details_of(title_id),
        "number": FIRST if title_id == PILOT else None,
    }
    commands = (
        DraftTitle(**new),
        PublishNewTitle(**new),
        ImportTitle(**new),
        ReviseTitle(**to, changes=DetailChanges(genres=("drama",))),
        ScheduleTitle(**to, publish_at=SOON),
        UnscheduleTitle(**to),
        PublishTitle(**to),
        PublishDueTitle(**to, publish_at=SOON),
        WithdrawTitle(**to, reason=REASON),
        DiscardTitle(**to),
    )
    return {type(command).__name__: command for command in commands}


def commands_to_series(series_id: SeriesId) -> dict[str, Any]:
    """Each command that arranges a series, by its class' name."""
    commands = (
        AddSeason(series_id=series_id, season_number=2, name="Season 2"),
        ReviseSeason(series_id=series_id, season_number=1, name="The Harbour"),
        ImportSeason(series_id=series_id, season_number=2, name="Season 2"),
        RemoveSeason(series_id=series_id, season_number=1),
        ReorderSeasons(series_id=series_id, season_numbers=(1,)),
        ReorderEpisodes(series_id=series_id, season_number=1, title_ids=(PILOT,)),
        MoveEpisode(series_id=series_id, title_id=PILOT, number=EpisodeNumber(1, 7)),
    )
    return {type(command).__name__: command for command in commands}


def require(title_id: TitleId) -> RequireFollower:
    return RequireFollower(title_id=title_id)


def season(number: int = 1) -> SeasonAdded:
    return SeasonAdded(series_id=SERIES, season_number=number, name=f"Season {number}")


SERIES_WITH_SEASON: Final = (published(TitleId(SERIES)), season())
