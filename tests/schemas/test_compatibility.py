"""What may change in a published schema."""

from pathlib import Path

import jsonschema
import msgspec
import pytest

from events.envelope import Event, encode
from events.registry import Registry, type_of
from schemas import generate
from schemas.compatibility import breaks
from tests.builders import episode_published, movie_published, playback_started, record_dead_lettered, reported


class LanternLit(Event, frozen=True):
    """As published."""

    colour: str
    height_m: int = 2


LANTERN = type_of(LanternLit)


def changed(**fields: tuple[object, ...]) -> list[str]:
    """What breaks when LanternLit has these fields instead."""
    now = msgspec.defstruct("LanternLit", [(name, *rest) for name, rest in fields.items()], kw_only=True)  # type: ignore[misc]
    return list(breaks(msgspec.json.schema(LanternLit), msgspec.json.schema(now) | {}))


def test_the_same_schema_is_compatible() -> None:
    assert changed(colour=(str,), height_m=(int, 2)) == []


def test_a_new_optional_field_is_compatible() -> None:
    assert changed(colour=(str,), height_m=(int, 2), wind=(str | None, None)) == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"colour": (str,)}, "height_m: removed"),
        ({"colour": (int,), "height_m": (int, 2)}, "'string'"),
        ({"colour": (str,), "height_m": (int, 2), "wind": (str,)}, "wind: required now"),
        ({"colour": (str, "red"), "height_m": (int, 2)}, "colour: optional now"),
    ],
)
def test_any_other_change_needs_a_new_version(fields: dict[str, tuple[object, ...]], reason: str) -> None:
    assert any(reason in line for line in changed(**fields))


def test_a_tighter_bound_is_incompatible_and_a_looser_one_is_not() -> None:
    old, new = {"minimum": 0, "maximum": 9}, {"minimum": 1, "maximum": 9}
    assert list(breaks(old, new))
    assert not list(breaks(new, old))


def test_a_new_enum_value_is_compatible_and_a_lost_one_is_not() -> None:
    few, many = {"enum": ["a"]}, {"enum": ["a", "b"]}
    assert not list(breaks(few, many))
    assert list(breaks(many, few))


def test_the_committed_schemas_are_those_of_the_classes() -> None:
    assert list(generate.drift()) == []
    assert list(generate.incompatibilities()) == []


def test_drift_is_found_and_written_away(tmp_path: Path) -> None:
    lanterns = Registry((LanternLit,))
    assert "no schema yet" in next(generate.drift(lanterns, tmp_path))
    generate.write(lanterns, tmp_path)
    assert list(generate.drift(lanterns, tmp_path)) == []
    file = generate.file_of(LANTERN, tmp_path)
    file.write_text(file.read_text().replace("As published", "As it was"))
    assert "out of date" in next(generate.drift(lanterns, tmp_path))


def test_an_event_class_that_disappears_is_incompatible(tmp_path: Path) -> None:
    generate.write(Registry((LanternLit,)), tmp_path)
    assert "class is gone" in next(generate.incompatibilities(Registry(()), tmp_path))


@pytest.mark.parametrize(
    "built", [movie_published(), episode_published(), playback_started(), reported(), record_dead_lettered()]
)
def test_events_as_encoded_satisfy_their_schema(built: object) -> None:
    record = msgspec.json.decode(encode(built))  # type: ignore[arg-type]
    jsonschema.validate(record["data"], generate.schema_of(record["type"]))
