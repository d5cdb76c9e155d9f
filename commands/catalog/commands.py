"""What can be asked of the catalog: imperative, validated in shape, not yet decided.

A title is addressed by its id alone when it is a movie, short, channel or series; `series_id` says that it is an
episode of that series.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from commands.catalog.changes import DetailChanges
from events.titles import Kind, LocalizedText, TitleDetails
from events.types import SeriesId, TitleId


@dataclass(frozen=True)
class EpisodeNumber:
    """Where a new episode goes."""

    season_number: int
    episode_number: int


@dataclass(frozen=True, kw_only=True)
class TitleCommand:
    """A command about one title."""

    title_id: TitleId
    series_id: SeriesId | None = None


@dataclass(frozen=True, kw_only=True)
class NewTitle(TitleCommand):
    """A command that begins a title. `number`: of an episode, and of nothing else."""

    kind: Kind
    details: TitleDetails
    number: EpisodeNumber | None = None


@dataclass(frozen=True, kw_only=True)
class DraftTitle(NewTitle):
    """Begin a title that viewers do not see; what publishing needs may still be missing."""


@dataclass(frozen=True, kw_only=True)
class PublishNewTitle(NewTitle):
    """Begin a title and publish it at once."""


@dataclass(frozen=True, kw_only=True)
class ImportTitle(NewTitle):
    """Have a title be what a file says, whatever it was: begun or revised, and then published (at `publish_at`, or
    with `publish` now) unless viewers know it. A title that was withdrawn stays so, a next title that the file does not
    name is kept, and an episode brings its season along.
    """

    publish: bool = True
    publish_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ReviseTitle(TitleCommand):
    """Change some of a title's details."""

    changes: DetailChanges


@dataclass(frozen=True, kw_only=True)
class ScheduleTitle(TitleCommand):
    """Publish a title at a time, rather than at the time that was set before."""

    publish_at: datetime


@dataclass(frozen=True, kw_only=True)
class UnscheduleTitle(TitleCommand):
    """Do not publish a title at its time."""


@dataclass(frozen=True, kw_only=True)
class PublishTitle(TitleCommand):
    """Publish a title now, for the first time or again."""


@dataclass(frozen=True, kw_only=True)
class PublishDueTitle(TitleCommand):
    """Publish a title whose time has come. Ignored when it was published or scheduled anew meanwhile."""

    publish_at: datetime


@dataclass(frozen=True, kw_only=True)
class WithdrawTitle(TitleCommand):
    """Take a published title away from viewers; of a series, its episodes too."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class DiscardTitle(TitleCommand):
    """Throw a draft away."""


@dataclass(frozen=True, kw_only=True)
class RequireFollower:
    """Make sure that a title can follow another: it is there, and it ends."""

    title_id: TitleId


@dataclass(frozen=True, kw_only=True)
class AddSeason:
    """Give a series a season."""

    series_id: SeriesId
    season_number: int
    name: str
    texts: tuple[LocalizedText, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReviseSeason:
    """Call a season something else."""

    series_id: SeriesId
    season_number: int
    name: str
    texts: tuple[LocalizedText, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImportSeason:
    """Have a season be called what a file says, whether it is there or not."""

    series_id: SeriesId
    season_number: int
    name: str
    texts: tuple[LocalizedText, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RemoveSeason:
    """Take a season without episodes away."""

    series_id: SeriesId
    season_number: int


@dataclass(frozen=True, kw_only=True)
class ReorderSeasons:
    """Put a series' seasons, named by the numbers that they have, into another order. They share out the same numbers;
    specials, number 0, stay where they are.
    """

    series_id: SeriesId
    season_numbers: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ReorderEpisodes:
    """Put a season's episodes into another order. They share out the numbers that they have."""

    series_id: SeriesId
    season_number: int
    title_ids: tuple[TitleId, ...]


@dataclass(frozen=True, kw_only=True)
class MoveEpisode:
    """Give an episode another number, or put it into another season."""

    series_id: SeriesId
    title_id: TitleId
    number: EpisodeNumber


SeriesCommand: TypeAlias = (
    AddSeason | ReviseSeason | ImportSeason | RemoveSeason | ReorderSeasons | ReorderEpisodes | MoveEpisode
)
Beginning: TypeAlias = DraftTitle | PublishNewTitle | ImportTitle
GoingOn: TypeAlias = (
    ReviseTitle | ScheduleTitle | UnscheduleTitle | PublishTitle | PublishDueTitle | WithdrawTitle | DiscardTitle
)
CatalogCommand: TypeAlias = Beginning | GoingOn | SeriesCommand | RequireFollower
