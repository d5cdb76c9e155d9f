"""Whose an event is, found in its bytes."""

from collections.abc import Iterator

import msgspec
import pytest
from msgspec import inspect

from events.registry import REGISTRY
from infra.archive.records import envelope_of

IDS = ("account_id", "profile_id", "session_id", "title_id")
OF_ANOTHER = {("by", "profile_id"), ("by", "session_id")}
"""Of the session that an event's own was ended for."""


def paths(found: inspect.Type, *above: str) -> Iterator[tuple[str, ...]]:
    """Where the structs of an event have one of the ids."""
    if isinstance(found, inspect.UnionType):
        for each in found.types:
            yield from paths(each, *above)
    elif isinstance(found, inspect.StructType):
        for field in found.fields:
            here = (*above, field.encode_name)
            yield from [here] if field.name in IDS else paths(field.type, *here)


PATHS = sorted({path for each in REGISTRY.classes.values() for path in paths(inspect.type_info(each))} - OF_ANOTHER)


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_whatever_an_event_names_as_its_own_is_a_column(path: tuple[str, ...]) -> None:
    data: object = "an id"
    for name in reversed(path):
        data = {name: data}

    assert getattr(envelope_of(msgspec.json.encode({"data": data})), path[-1]) == "an id"
