"""What every test may ask for, and which go first."""

import pytest

pytest_plugins = ["tests.servers"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that read topics from their beginning go before those that fill them, some with what nobody can read."""
    items.sort(key=lambda item: item.get_closest_marker("early") is None)
