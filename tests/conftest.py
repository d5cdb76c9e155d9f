"""What every test may ask for, and which go first."""

import hypothesis
import pytest

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

pytest_plugins = ["tests.servers"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that read topics from their beginning go before those that fill them, some with what nobody can read."""
    items.sort(key=lambda item: item.get_closest_marker("early") is None)
