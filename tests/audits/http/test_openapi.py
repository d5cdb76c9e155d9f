"""The audits API documents itself as the query API does, and its examples are of the shapes that it answers."""

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from audits.history.writing import NAMES
from audits.http import checkpoints, history
from infra.http.problems import MEDIA_TYPE
from tests.query_api.test_openapi import operations
from tests.query_api.test_openapi_examples import (
    test_an_example_of_a_parameter_is_one_that_it_takes,
    test_every_parameter_has_an_example,
    test_every_reply_has_an_example,
)

__all__ = [
    "test_an_example_of_a_parameter_is_one_that_it_takes",
    "test_every_parameter_has_an_example",
    "test_every_reply_has_an_example",
]


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (history.HistoryItem, history.EVENT),
        (history.HistoryPage, history.PAGE),
        (history.HistoryTree, history.TREE),
        (checkpoints.CheckpointItem, checkpoints.CHECKPOINT),
    ],
)
def test_an_example_is_of_its_model(model: type[BaseModel], example: dict[str, object]) -> None:
    assert model.model_validate(example).model_dump(mode="json").keys() == example.keys()


def test_an_event_is_shown_with_all_that_the_command_line_shows() -> None:
    assert set(NAMES) <= history.HistoryItem.model_fields.keys()


def test_every_operation_says_how_it_can_be_busy_and_lack_a_source(app: FastAPI) -> None:
    for path, operation in operations(app):
        told = operation["responses"]["503"]["content"][MEDIA_TYPE]["examples"]
        assert {"audits-busy", "history-source-away", "archive-damaged"} <= set(told), path
