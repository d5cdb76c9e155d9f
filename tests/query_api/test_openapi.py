"""The OpenAPI document: every operation shows a reply and every problem that it can answer."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from infra.http.problems import MEDIA_TYPE, TYPE_BASE
from query_api import dead_letters, view_requests, view_versions
from query_api.app import PROBLEMS
from query_api.catalog import cards, openings, series, title_page
from query_api.playback import (
    cmcd_gaps,
    continue_watching,
    quality,
    sessions,
    streams,
    timeline_entries,
    viewers,
    watch_history,
)

EXAMPLES: list[tuple[type[BaseModel], dict[str, object]]] = [
    (continue_watching.ContinueWatchingItem, continue_watching.EXAMPLE),
    (watch_history.Watched, watch_history.EXAMPLE),
    (sessions.Session, sessions.EXAMPLE),
    (timeline_entries.TimelineEvent, timeline_entries.EXAMPLE),
    (timeline_entries.TimelineEvent, timeline_entries.CMCD_EXAMPLE),
    (cmcd_gaps.CmcdGaps, cmcd_gaps.EXAMPLE),
    (streams.Stream, streams.EXAMPLE),
    (viewers.Viewers, viewers.EXAMPLE),
    (quality.QualityByTime, quality.EXAMPLE),
    (cards.TitleCard, cards.CARD_EXAMPLE),
    (title_page.Title, title_page.EXAMPLE),
    (openings.AvailableTitle, openings.NOW_EXAMPLE),
    (openings.ComingTitle, openings.SOON_EXAMPLE),
    (series.EpisodeModel, series.EPISODE_EXAMPLE),
    (series.SeriesPageModel, series.SERIES_EXAMPLE),
    (dead_letters.DeadLetter, dead_letters.EXAMPLE),
    (dead_letters.WholeDeadLetter, dead_letters.WHOLE),
    (view_versions.ViewVersion, view_versions.EXAMPLE),
    (view_requests.ViewRequest, view_requests.EXAMPLE),
]


def operations(app: FastAPI) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in app.openapi()["paths"].items():
        for operation in item.values():
            yield path, operation


def problems_of(operation: dict[str, Any]) -> set[str]:
    contents = (response.get("content", {}).get(MEDIA_TYPE, {}) for response in operation["responses"].values())
    return {slug for content in contents for slug in content.get("examples", {})}


def test_every_operation_shows_a_reply(app: FastAPI) -> None:
    for path, operation in operations(app):
        for media_type, content in operation["responses"]["200"]["content"].items():
            assert content["example"], path
            if media_type == "application/json":
                assert "$ref" in content["schema"].get("anyOf", [content["schema"]])[0], path


@pytest.mark.parametrize(("model", "example"), EXAMPLES)
def test_an_example_is_a_whole_reply(model: type[BaseModel], example: dict[str, object]) -> None:
    assert model.model_validate(example).model_dump(mode="json") == example


def test_every_operation_documents_its_problems(app: FastAPI) -> None:
    for path, operation in operations(app):
        problems = problems_of(operation)
        assert {"unauthenticated", "invalid-request", "store-unavailable"} <= problems, path
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        assert ("cursor" in names) == ("cursor-invalid" in problems), path
        assert ("Playhead-Position" in names) == ({"position-invalid", "view-behind"} <= problems), path
        assert ("account_id" in names) == ("not-your-account" in problems), path
        assert ("profile_id" in names) == ("not-your-profile" in problems), path
        assert ("session_id" in names) == ({"session-unknown", "session-not-yours"} <= problems), path
        of_title = "{title_id}" in path or "{series_id}" in path
        assert of_title == ("title-unknown" in problems), path


def test_every_problem_of_the_app_is_documented_somewhere(app: FastAPI) -> None:
    documented = set[str]().union(*(problems_of(operation) for _, operation in operations(app)))
    assert {kind.slug for kind in PROBLEMS.values()} - {"forbidden"} <= documented


def test_problem_examples_are_problems_of_their_status(app: FastAPI) -> None:
    schema = app.openapi()["components"]["schemas"]["Problem"]
    for _, operation in operations(app):
        for status, response in operation["responses"].items():
            for slug, example in response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {}).items():
                value = example["value"]
                assert set(schema["required"]) <= set(value)
                assert (value["type"], str(value["status"])) == (TYPE_BASE + slug, status)


def test_every_operation_takes_an_access_token(app: FastAPI) -> None:
    assert all({*way} == {"AccessToken"} for _, operation in operations(app) for way in operation["security"])


def test_every_reply_as_json_is_documented_to_be_tagged_once(app: FastAPI) -> None:
    for _ in range(2):
        for path, operation in operations(app):
            is_json = "application/json" in operation["responses"]["200"]["content"]
            names = [parameter["name"] for parameter in operation.get("parameters", [])]
            assert (names.count("If-None-Match"), "304" in operation["responses"]) == (int(is_json), is_json), path
