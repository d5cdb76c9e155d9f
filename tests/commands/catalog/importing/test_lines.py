"""A line of an import file: what it asks for, and why it is not taken."""

from typing import Any

import msgspec
import pytest

from commands.catalog.commands import EpisodeNumber, ImportSeason, ImportTitle
from commands.catalog.importing.lines import LineRefused, body_of, identity_of, problem_of, title_id_of
from commands.catalog.refusals import NotASeries, TextsInvalid
from events.types import SeriesId
from tests.commands.catalog.importing.examples import episode, film, series


def refused(line: bytes) -> Any:
    with pytest.raises(LineRefused) as caught:
        identity_of(line)
        body_of(line)
    return caught.value.problem


def test_a_line_asks_for_its_title_as_it_says() -> None:
    [command] = body_of(msgspec.json.encode(film("sintel", next_title="durian"))).commands()
    assert isinstance(command, ImportTitle)
    assert (command.title_id, command.publish, command.series_id) == (title_id_of("sintel"), True, None)
    assert command.details.next_title_id == title_id_of("durian")
    assert command.details.text.name == "Sintel"


def test_a_line_with_a_time_is_scheduled_and_one_without_may_stay_a_draft() -> None:
    [later] = body_of(msgspec.json.encode(film("a", publish_at="2027-01-01T00:00:00+09:00"))).commands()
    [draft] = body_of(msgspec.json.encode(film("a", publish=False))).commands()
    assert isinstance(later, ImportTitle) and isinstance(draft, ImportTitle)
    assert (later.publish, str(later.publish_at)) == (False, "2026-12-31 15:00:00+00:00")
    assert (draft.publish, draft.publish_at) == (False, None)


def test_a_series_brings_its_seasons() -> None:
    lines = body_of(msgspec.json.encode(series("harbour", seasons=[{"season_number": 1, "name": "Low Tide"}])))
    _, season = lines.commands()
    assert season == ImportSeason(series_id=SeriesId(title_id_of("harbour")), season_number=1, name="Low Tide")


def test_an_episode_is_found_among_those_of_its_series() -> None:
    [command] = body_of(msgspec.json.encode(episode("1", series="harbour", number=4))).commands()
    assert isinstance(command, ImportTitle)
    assert (command.series_id, command.number) == (SeriesId(title_id_of("harbour")), EpisodeNumber(1, 4))
    assert command.title_id == title_id_of("1", "harbour") != title_id_of("1", "another") != title_id_of("1")


@pytest.mark.parametrize(
    ("line", "problem", "pointer"),
    [
        (b"{", "malformed-json", None),
        (b'{"kind": "movie"}', "invalid-request", "/external_id"),
        (b'{"external_id": "a", "kind": "film", "texts": {"en": {"name": "A"}}}', "invalid-request", "/kind"),
        (b'{"external_id": "a", "kind": "movie", "texts": {"en": {}}}', "invalid-request", "/texts/en/name"),
        (b'{"external_id": "a", "kind": "movie", "texts": {"en": {"name": "\\u0000"}}}', "invalid-request", None),
        (b"\xff\xfe", "malformed-json", None),
    ],
)
def test_a_line_that_cannot_be_read_says_why(line: bytes, problem: str, pointer: str | None) -> None:
    found = refused(line)
    assert found.problem == problem
    assert pointer is None or found.pointer == pointer
    assert found.detail


def test_a_refusal_has_the_name_that_the_api_gives_it() -> None:
    assert problem_of(NotASeries("x")).problem == "not-a-series"
    pointed = problem_of(TextsInvalid("x", members={"pointer": "/texts"}))
    assert (pointed.problem, pointed.pointer) == ("texts-invalid", "/texts")
