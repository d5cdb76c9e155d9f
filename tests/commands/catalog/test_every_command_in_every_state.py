"""What each command does in each state of a title: a table, and a check that nothing is missing from it.

An outcome is the events that are recorded, "-" for ignored, or the refusal.
"""

from datetime import timedelta
from typing import Any, get_args

import pytest

from commands.catalog.commands import Beginning, CatalogCommand, GoingOn, SeriesCommand
from events.titles import Status
from events.types import SeriesId, TitleId
from tests.commands.catalog.examples import (
    MOVIE,
    PILOT,
    SERIES,
    SERIES_WITH_SEASON,
    SOON,
    catalog,
    commands_to,
    commands_to_series,
    drafted,
    histories,
    published,
    require,
    season,
    withdrawn,
)
from tests.commands.catalog.outcomes import outcome

STATES = ("absent", "draft", "scheduled", "unscheduled", "published", "withdrawn", "returning", "discarded")

TITLES = """
command         | absent          | draft           | scheduled         | unscheduled     | published         | withdrawn         | returning         | discarded
DraftTitle      | TitleDrafted    | -               | TitleExists       | -               | TitleExists       | TitleExists       | TitleExists       | TitleExists
PublishNewTitle | TitlePublished  | TitleExists     | TitleExists       | TitleExists     | -                 | TitleExists       | TitleExists       | TitleExists
ImportTitle     | TitlePublished  | TitlePublished  | TitlePublished    | TitlePublished  | -                 | -                 | TitlePublished    | TitleExists
ReviseTitle     | TitleUnknown    | TitleRevised    | TitleRevised      | TitleRevised    | TitleRevised      | TitleRevised      | TitleRevised      | TitleIsDiscarded
ScheduleTitle   | TitleUnknown    | TitleScheduled  | -                 | TitleScheduled  | AlreadyPublished  | TitleScheduled    | -                 | TitleIsDiscarded
UnscheduleTitle | TitleUnknown    | -               | TitleUnscheduled  | -               | TitleNotScheduled | -                 | TitleUnscheduled  | TitleIsDiscarded
PublishTitle    | TitleUnknown    | TitlePublished  | TitlePublished    | TitlePublished  | -                 | TitlePublished    | TitlePublished    | TitleIsDiscarded
PublishDueTitle | TitleUnknown    | -               | -                 | -               | -                 | -                 | -                 | TitleIsDiscarded
late            | TitleUnknown    | -               | TitlePublished    | -               | -                 | -                 | TitlePublished    | TitleIsDiscarded
WithdrawTitle   | TitleUnknown    | TitleNotPublished | TitleNotPublished | TitleNotPublished | TitleWithdrawn | -                | TitleNotPublished | TitleIsDiscarded
DiscardTitle    | TitleUnknown    | TitleDiscarded  | TitleIsScheduled  | TitleDiscarded  | TitleWasPublished | TitleWasPublished | TitleWasPublished | -
"""  # noqa: E501 - a table
"""`late`: PublishDueTitle when its time has come; the row above it is before."""

SERIES_STATES = """
command         | absent        | draft           | scheduled       | unscheduled     | published       | withdrawn       | returning       | discarded        | movie
AddSeason       | SeriesUnknown | SeasonAdded     | SeasonAdded     | SeasonAdded     | SeasonAdded     | SeasonAdded     | SeasonAdded     | TitleIsDiscarded | NotASeries
ImportSeason    | SeriesUnknown | SeasonAdded     | SeasonAdded     | SeasonAdded     | SeasonAdded     | SeasonAdded     | SeasonAdded     | TitleIsDiscarded | NotASeries
ReviseSeason    | SeriesUnknown | SeasonRevised   | SeasonRevised   | SeasonRevised   | SeasonRevised   | SeasonRevised   | SeasonRevised   | TitleIsDiscarded | NotASeries
RemoveSeason    | SeriesUnknown | SeasonHasEpisodes | SeasonHasEpisodes | SeasonHasEpisodes | SeasonHasEpisodes | SeasonHasEpisodes | SeasonHasEpisodes | TitleIsDiscarded | NotASeries
ReorderSeasons  | SeriesUnknown | -               | -               | -               | -               | -               | -               | TitleIsDiscarded | NotASeries
ReorderEpisodes | SeriesUnknown | -               | -               | -               | -               | -               | -               | TitleIsDiscarded | NotASeries
MoveEpisode     | SeriesUnknown | EpisodeMoved    | EpisodeMoved    | EpisodeMoved    | EpisodeMoved    | EpisodeMoved    | EpisodeMoved    | TitleIsDiscarded | NotASeries
"""  # noqa: E501 - a table

EPISODE_BY_SERIES = """
command         | absent        | draft              | scheduled          | unscheduled        | published       | withdrawn          | returning          | discarded        | movie
DraftTitle      | SeriesUnknown | -                  | -                  | -                  | -               | -                  | -                  | TitleIsDiscarded | NotASeries
PublishNewTitle | SeriesUnknown | TitleExists        | TitleExists        | TitleExists        | TitleExists     | TitleExists        | TitleExists        | TitleIsDiscarded | NotASeries
ImportTitle     | SeriesUnknown | SeriesNotPublished | SeriesNotPublished | SeriesNotPublished | TitlePublished  | SeriesNotPublished | SeriesNotPublished | TitleIsDiscarded | NotASeries
ReviseTitle     | SeriesUnknown | TitleRevised       | TitleRevised       | TitleRevised       | TitleRevised    | TitleRevised       | TitleRevised       | TitleIsDiscarded | NotASeries
ScheduleTitle   | SeriesUnknown | TitleScheduled     | TitleScheduled     | TitleScheduled     | TitleScheduled  | TitleScheduled     | TitleScheduled     | TitleIsDiscarded | NotASeries
UnscheduleTitle | SeriesUnknown | -                  | -                  | -                  | -               | -                  | -                  | TitleIsDiscarded | NotASeries
PublishTitle    | SeriesUnknown | SeriesNotPublished | SeriesNotPublished | SeriesNotPublished | TitlePublished  | SeriesNotPublished | SeriesNotPublished | TitleIsDiscarded | NotASeries
PublishDueTitle | SeriesUnknown | -                  | -                  | -                  | -               | -                  | -                  | TitleIsDiscarded | NotASeries
WithdrawTitle   | SeriesUnknown | TitleNotPublished  | TitleNotPublished  | TitleNotPublished  | TitleNotPublished | TitleNotPublished | TitleNotPublished | TitleIsDiscarded | NotASeries
DiscardTitle    | SeriesUnknown | TitleDiscarded     | TitleDiscarded     | TitleDiscarded     | TitleDiscarded  | TitleDiscarded     | TitleDiscarded     | TitleIsDiscarded | NotASeries
"""  # noqa: E501 - a table
"""What a series' state allows for an episode of it that is a draft. `movie`: the "series" is a movie."""

FOLLOWERS = """
command         | absent           | draft | scheduled | unscheduled | published | withdrawn | returning | discarded
RequireFollower | NextTitleUnknown | -     | -         | -           | -         | -         | -         | NextTitleUnknown
"""  # noqa: E501 - a table


def cells(table: str) -> list[tuple[str, str, str]]:
    """(command, state, outcome) of each cell."""
    header, *rows = ([cell.strip() for cell in line.split("|")] for line in table.strip().splitlines())
    return [(row[0], state, cell) for row in rows for state, cell in zip(header[1:], row[1:], strict=True)]


@pytest.mark.parametrize("title_id", [MOVIE, TitleId(SERIES)])
@pytest.mark.parametrize(("command", "state", "expected"), cells(TITLES))
def test_a_title(title_id: TitleId, command: str, state: str, expected: str) -> None:
    assert outcome(histories(title_id)[state], *commanded(title_id, command)) == expected


@pytest.mark.parametrize(("command", "state", "expected"), cells(TITLES))
def test_an_episode_of_a_published_series(command: str, state: str, expected: str) -> None:
    history = (*SERIES_WITH_SEASON, *histories(PILOT)[state])
    assert outcome(history, *commanded(PILOT, command)) == expected


@pytest.mark.parametrize(("command", "state", "expected"), cells(SERIES_STATES))
def test_a_series_is_arranged(command: str, state: str, expected: str) -> None:
    history = around_pilot(state)
    assert outcome(history, commands_to_series(SERIES)[command]) == expected


@pytest.mark.parametrize(("command", "state", "expected"), cells(EPISODE_BY_SERIES))
def test_a_drafted_episode_in_a_series(command: str, state: str, expected: str) -> None:
    assert outcome(around_pilot(state), commands_to(PILOT)[command]) == expected


@pytest.mark.parametrize(("command", "state", "expected"), cells(FOLLOWERS))
def test_a_title_that_is_to_follow(command: str, state: str, expected: str) -> None:
    assert outcome(histories(MOVIE)[state], require(MOVIE)) == expected


def around_pilot(state: str) -> tuple[Any, ...]:
    """A series in a state, with a season and a drafted episode where there is a series."""
    if state == "movie":
        return (published(MOVIE),)
    history = histories(TitleId(SERIES))[state]
    return (*history, season(), drafted(PILOT)) if history else ()


def commanded(title_id: TitleId, name: str) -> tuple[Any, ...]:
    if name == "late":
        return commands_to(title_id)["PublishDueTitle"], SOON + timedelta(days=3)
    return (commands_to(title_id)[name],)


def names(union: Any) -> set[str]:
    return {command.__name__ for command in get_args(union)}


def test_no_command_and_no_state_is_missing() -> None:
    rows = {table: {command for command, _, _ in cells(table)} - {"late"} for table in (TITLES, EPISODE_BY_SERIES)}
    assert rows[TITLES] == rows[EPISODE_BY_SERIES] == names(Beginning) | names(GoingOn)
    assert {command for command, _, _ in cells(SERIES_STATES)} == names(SeriesCommand)
    every = rows[TITLES] | names(SeriesCommand) | {command for command, _, _ in cells(FOLLOWERS)}
    assert every == names(CatalogCommand)
    assert {state for _, state, _ in cells(TITLES)} == set(STATES) == set(histories(MOVIE))
    assert {status.value for status in Status} <= set(STATES)


def test_withdrawing_and_publishing_a_series_takes_its_published_episodes_along() -> None:
    gone = (*SERIES_WITH_SEASON, published(PILOT), withdrawn(TitleId(SERIES)), withdrawn(PILOT, with_series=True))
    catalog.given(*SERIES_WITH_SEASON, published(PILOT)).when(commands_to(TitleId(SERIES))["WithdrawTitle"]).then(
        withdrawn(TitleId(SERIES)), withdrawn(PILOT, with_series=True)
    )
    assert outcome(gone, commands_to(TitleId(SERIES))["PublishTitle"]) == "TitlePublished TitlePublished"
    assert outcome(gone, commands_to(PILOT)["PublishTitle"]) == "SeriesNotPublished"


def test_an_episode_withdrawn_by_itself_stays_away_when_its_series_comes_back() -> None:
    gone = (*SERIES_WITH_SEASON, published(PILOT), withdrawn(PILOT), withdrawn(TitleId(SERIES)))
    assert outcome(gone, commands_to(TitleId(SERIES))["PublishTitle"]) == "TitlePublished"


def test_a_series_with_episodes_is_not_discarded() -> None:
    assert outcome(around_pilot("draft"), commands_to(TitleId(SERIES))["DiscardTitle"]) == "SeriesHasEpisodes"


def test_a_title_of_another_series_is_unknown() -> None:
    elsewhere = commands_to(PILOT)["PublishTitle"]
    assert outcome((*SERIES_WITH_SEASON,), elsewhere) == "TitleUnknown"
    assert outcome((), commands_to_series(SeriesId("nowhere"))["AddSeason"]) == "SeriesUnknown"
