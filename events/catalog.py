"""Events of the catalog context: what editors drafted, published and withdrew. Authority: the event log.

A movie, short, channel or series is the stream `catalog.title-<id>`; a series' seasons and episodes are in its stream.
Each event is about one title, or one season, and carries all that its readers need: a TitlePublished is the whole
title.
"""

from events.envelope import Event
from events.titles import EpisodePlace, Kind, LocalizedText, Season, Status, TitleDetails
from events.types import Instant, SeriesId, TitleId


class TitleEvent(Event, frozen=True, kw_only=True):
    """What every event of a title says. `place`: of an episode, and of nothing else."""

    title_id: TitleId
    kind: Kind
    place: EpisodePlace | None = None


class TitleDrafted(TitleEvent, frozen=True, kw_only=True):
    """A title was begun; nobody but editors sees it. `revision` counts what its details were, from 1."""

    details: TitleDetails
    revision: int = 1


class TitleRevised(TitleEvent, frozen=True, kw_only=True):
    """A title's details are others: `changed` names which. `status`: whether viewers see it."""

    details: TitleDetails
    revision: int
    changed: tuple[str, ...]
    status: Status


class TitleScheduled(TitleEvent, frozen=True, kw_only=True):
    """A title will be published at a time, or at another time than before."""

    details: TitleDetails
    revision: int
    publish_at: Instant


class TitleUnscheduled(TitleEvent, frozen=True, kw_only=True):
    """A title will not be published at its time; it is what it was before: draft or withdrawn."""

    status: Status


class TitlePublished(TitleEvent, frozen=True, kw_only=True):
    """A title can be found and, inside its windows, played; again, after a withdrawal. `seasons`: of a series."""

    details: TitleDetails
    revision: int = 1
    seasons: tuple[Season, ...] = ()


class TitleWithdrawn(TitleEvent, frozen=True, kw_only=True):
    """A title can neither be found nor started any more; what was watched stays watched. `with_series`: since its
    series was.
    """

    reason: str
    with_series: bool = False


class TitleDiscarded(TitleEvent, frozen=True, kw_only=True):
    """A draft was thrown away."""


class SeasonAdded(Event, frozen=True):
    """A season of a series, numbered from 1 (0: specials)."""

    series_id: SeriesId
    season_number: int
    name: str
    texts: tuple[LocalizedText, ...] = ()


class SeasonRevised(Event, frozen=True):
    """A season is called something else."""

    series_id: SeriesId
    season_number: int
    name: str
    texts: tuple[LocalizedText, ...] = ()


class SeasonRemoved(Event, frozen=True):
    """A season without episodes is gone."""

    series_id: SeriesId
    season_number: int


class SeasonsReordered(Event, frozen=True):
    """A series' seasons have other numbers: all of them, as they are now. Their episodes' EpisodeMoved follow."""

    series_id: SeriesId
    seasons: tuple[Season, ...]


class EpisodeMoved(Event, frozen=True):
    """An episode has another number, or is in another season. Several moved together are next to each other."""

    title_id: TitleId
    place: EpisodePlace
    status: Status


class NextTitleLinked(Event, frozen=True):
    """In the stream `catalog.next-titles`, which keeps all links so that no cycle can be made: the title that follows
    another. Readers find the same in the title's details.
    """

    title_id: TitleId
    next_title_id: TitleId


class NextTitleUnlinked(Event, frozen=True):
    """In the same stream: nothing is said to follow a title any more."""

    title_id: TitleId


AnyTitleEvent = (
    TitleDrafted | TitleRevised | TitleScheduled | TitleUnscheduled | TitlePublished | TitleWithdrawn | TitleDiscarded
)
SeriesEvent = SeasonAdded | SeasonRevised | SeasonRemoved | SeasonsReordered | EpisodeMoved
LinkEvent = NextTitleLinked | NextTitleUnlinked
CatalogEvent = AnyTitleEvent | SeriesEvent | LinkEvent
