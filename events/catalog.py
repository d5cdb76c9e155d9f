"""Events of the catalog context: what editors published. Authority: the event log; stream
`catalog.<movie|series>-<id>`.
"""

from events.envelope import Event
from events.types import Availability, Maturity, SeriesId, TitleId


class MoviePublished(Event, frozen=True):
    """A film can be found and, inside its availability windows, played."""

    title_id: TitleId
    name: str
    synopsis: str
    duration_ms: int
    credits_start_ms: int | None
    maturity: Maturity
    availability: tuple[Availability, ...]


class SeriesPublished(Event, frozen=True):
    """A series can be found; its episodes follow."""

    series_id: SeriesId
    name: str
    synopsis: str
    maturity: Maturity


class SeasonAdded(Event, frozen=True):
    """A season of a series, numbered from 1 (0: specials)."""

    series_id: SeriesId
    season_number: int
    name: str


class EpisodePublished(Event, frozen=True):
    """An episode can be found and, inside its availability windows, played."""

    series_id: SeriesId
    series_name: str
    title_id: TitleId
    season_number: int
    episode_number: int
    name: str
    synopsis: str
    duration_ms: int
    credits_start_ms: int | None
    maturity: Maturity
    availability: tuple[Availability, ...]


CatalogEvent = MoviePublished | SeriesPublished | SeasonAdded | EpisodePublished
