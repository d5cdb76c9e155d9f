"""One thread of words from command to query: what a reader guesses is where it is."""

import ast
from pathlib import Path

import pytest

from events.registry import REGISTRY
from events.topics import CONTEXTS, TOPICS, dead_letters_of, topic_of

ROOT = Path(__file__).parents[2]
PACKAGES = ("audits", "commands", "events", "projections", "query_api", "schemas", "infra", "playhead")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
VAGUE = ("service", "manager", "helper", "util", "common", "process_data", "do_")


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def ids(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("path", MODULES, ids=ids(MODULES))
def test_a_module_says_where_it_stands(path: Path) -> None:
    assert ast.get_docstring(parsed(path))


@pytest.mark.parametrize("path", MODULES, ids=ids(MODULES))
def test_what_is_public_is_described(path: Path) -> None:
    bare = [
        node.name
        for node in parsed(path).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert bare == []


@pytest.mark.parametrize("path", MODULES, ids=ids(MODULES))
def test_nothing_has_a_name_that_says_nothing(path: Path) -> None:
    names = [path.stem] + [
        node.name
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [name for name in names if any(word in name.lower() for word in VAGUE)] == []


def test_every_event_type_has_a_topic_or_is_about_running() -> None:
    for type_name in REGISTRY.classes:
        context = type_name.partition(".")[0]
        assert context == "operations" or topic_of(type_name) is CONTEXTS[context]


def test_topics_are_named_after_their_contexts() -> None:
    for context, topic in CONTEXTS.items():
        assert topic.name == f"{context}.events"
        assert dead_letters_of(topic.name) == f"{context}.events.dlq"
    assert set(TOPICS) == set(CONTEXTS.values())


def test_only_the_projections_swallow_any_exception() -> None:
    catching = {
        str(path.relative_to(ROOT))
        for path in MODULES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") == "Exception")
        and not any(isinstance(step, ast.Raise) and step.exc is None for step in node.body)
    }
    assert {path for path in catching if not path.startswith("projections/")} == set()
