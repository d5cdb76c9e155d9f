"""A fake payment provider on loopback, for every test that asks for a stage."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.infra.payments.fakes import Stage, settings_of, staged


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(settings_of(tmp_path)) as opened:
        yield opened
