"""What editors may do with a film, and with a series of two seasons and its episodes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from hypothesis import strategies as st

from commands.catalog import commands as c
from commands.catalog.changes import DetailChanges
from commands.catalog.decider import CATALOG
from commands.catalog.next_titles import NEXT_TITLES, STREAM_ID, LinkNextTitle
from events.catalog import TitleScheduled
from events.envelope import Envelope, Event
from events.titles import Kind, LocalizedText
from events.types import Availability, SeriesId, TitleId
from tests.builders import KOREA, episode_details, series_details, title_details
from tests.projections.generated.lives import T0, Ask, Stream, always, lives, side_by_side

FILM: Final = TitleId("heat")
SERIES: Final = SeriesId("harbour")
EPISODES: Final = tuple(TitleId(f"harbour-{number}") for number in (1, 2, 3))
ELSEWHERE: Final = (
    KOREA,
    Availability(territories=("DE", "NL"), starts_at=T0, ends_at=T0 + timedelta(days=90)),
)
REVISED: Final = (
    DetailChanges(genres=("drama", "crime")),
    DetailChanges(texts=(LocalizedText("en", "Heat", "A crew."), LocalizedText("ko", "히트"))),
    DetailChanges(availability=ELSEWHERE),
    DetailChanges(availability=()),
    DetailChanges(maturity=()),
    DetailChanges(duration_ms=90_000_000, release_year=1995),
    DetailChanges(next_title_id=TitleId("ran")),
    DetailChanges(next_title_id=None),
)


def _soon(title_id: TitleId, series_id: SeriesId | None) -> Ask:
    return lambda _, now: c.ScheduleTitle(title_id=title_id, series_id=series_id, publish_at=now + timedelta(minutes=5))


def _due(title_id: TitleId, series_id: SeriesId | None) -> Ask:
    def asked(history: Sequence[Event], now: datetime) -> c.PublishDueTitle | None:
        told = [event for event in history if isinstance(event, TitleScheduled) and event.title_id == title_id]
        due = told[-1].publish_at if told else now
        return c.PublishDueTitle(title_id=title_id, series_id=series_id, publish_at=due)

    return asked


def _of_title(title_id: TitleId, series_id: SeriesId | None = None) -> tuple[Ask, ...]:
    to: dict[str, Any] = {"title_id": title_id, "series_id": series_id}
    plain = (
        *(c.ReviseTitle(**to, changes=changes) for changes in REVISED),
        c.UnscheduleTitle(**to),
        c.PublishTitle(**to),
        c.PublishTitle(**to),
        c.WithdrawTitle(**to, reason="The licence ended."),
        c.DiscardTitle(**to),
    )
    return (*map(always, plain), _soon(title_id, series_id), _due(title_id, series_id))


def _film() -> Stream:
    new: dict[str, Any] = {"title_id": FILM, "kind": Kind.MOVIE, "details": title_details("Heat")}
    drafted, published = (always(begin(**new)) for begin in (c.DraftTitle, c.PublishNewTitle))
    unscheduled = (drafted, _soon(FILM, None), always(c.UnscheduleTitle(title_id=FILM)))
    begins = ((drafted,), (published,), unscheduled, (drafted, always(c.DiscardTitle(title_id=FILM))))
    return Stream(f"catalog.title-{FILM}", CATALOG, begins, (*_of_title(FILM), always(c.ImportTitle(**new))))


def _series() -> Stream:
    new: dict[str, Any] = {"title_id": TitleId(SERIES), "kind": Kind.SERIES, "details": series_details()}
    begun = tuple((always(begin(**new)),) for begin in (c.DraftTitle, c.PublishNewTitle))
    begins = (*begun, *((*each, *_arranged()) for each in begun))
    of_episodes = [ask for each in EPISODES for ask in _of_title(each, SERIES)]
    asks = (*SEASONS, *_beginnings(), *_arranging() * 2, *_of_title(TitleId(SERIES)), *of_episodes)
    return Stream(f"catalog.title-{SERIES}", CATALOG, begins, asks)


SEASONS: Final = tuple(
    always(c.AddSeason(series_id=SERIES, season_number=each, name=f"Season {each}")) for each in (0, 1, 2)
)


def _beginnings() -> list[Ask]:
    told: dict[str, Any] = {"series_id": SERIES, "kind": Kind.EPISODE}
    numbers = zip(EPISODES, (c.EpisodeNumber(1, 1), c.EpisodeNumber(1, 2), c.EpisodeNumber(2, 1)), strict=True)
    return [
        always(new(title_id=title_id, details=episode_details(title_id), number=number, **told))
        for title_id, number in numbers
        for new in (c.DraftTitle, c.PublishNewTitle, c.ImportTitle)
    ]


def _arranged() -> list[Ask]:
    """All seasons; of its episodes one is a draft, one published, and one imported."""
    return [*SEASONS, *_beginnings()[::4]]


def _arranging() -> list[Ask]:
    one, two, _ = EPISODES
    commands = (
        c.ReviseSeason(series_id=SERIES, season_number=1, name="The Harbour"),
        c.ImportSeason(series_id=SERIES, season_number=2, name="Season two"),
        *(c.RemoveSeason(series_id=SERIES, season_number=each) for each in (0, 2)),
        c.ReorderSeasons(series_id=SERIES, season_numbers=(2, 1)),
        c.ReorderEpisodes(series_id=SERIES, season_number=1, title_ids=(two, one)),
        c.MoveEpisode(series_id=SERIES, title_id=one, number=c.EpisodeNumber(2, 7)),
    )
    return [always(command) for command in commands]


def _next_titles() -> Stream:
    asks = tuple(always(LinkNextTitle(title_id=FILM, next_title_id=each)) for each in (TitleId("ran"), None))
    return Stream(STREAM_ID, NEXT_TITLES, ((),), asks)


def histories() -> st.SearchStrategy[list[Envelope[Event]]]:
    """Records of catalog.events."""
    return side_by_side(lives(_film(), 20), lives(_series(), 50), lives(_next_titles(), 3))
