"""Two hundred starts at once for two places: exactly two get one, a thousand times over."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

import pytest
from msgspec import structs

from commands.playback.leases import Claim, Claimed, Ending, LimitReached
from events.playback import TerminatedBy
from events.types import AccountId, SessionId
from infra.ids import new_id
from infra.settings import Settings
from tests import builders
from tests.integration.stream_accounts import Account, opened_account

pytestmark = pytest.mark.integration

ROUNDS: Final = 1_000
STARTS: Final = 200
PROCESSES: Final = 4
PIPELINE: Final = 10
ENDING: Final = Ending(reason="replaced", by=TerminatedBy(), at=builders.EVENING)


@pytest.fixture
async def processes(live: Settings) -> AsyncIterator[list[Account]]:
    """As many processes as start streams of one account, each with a connection of its own, in pipelines so short that
    those of all take turns."""
    settings = live.model_copy(update={"redis_pipeline_max_reads": PIPELINE, "lease_timeout_s": 60.0})
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(opened_account(settings)) for _ in range(PROCESSES)]


async def test_of_two_hundred_starts_at_once_exactly_as_many_play_as_may(processes: Sequence[Account]) -> None:
    for _ in range(ROUNDS):
        account_id = AccountId(new_id())
        claims = await _rush(processes, account_id)
        granted = {session_id for session_id, claim in claims.items() if isinstance(claim, Claimed)}
        refused = [claim for claim in claims.values() if isinstance(claim, LimitReached)]
        assert (len(granted), len(refused)) == (2, STARTS - 2)
        assert await replace(processes[0], account_id=account_id).kept() == granted
        assert all({stream.session.session_id for stream in claim.running} == granted for claim in refused)


async def _rush(processes: Sequence[Account], account_id: AccountId) -> dict[str, Claim]:
    base = builders.session(account_id=account_id)
    sessions = [structs.replace(base, session_id=SessionId(str(number))) for number in range(STARTS)]
    claims = await asyncio.gather(
        *(
            processes[number % len(processes)].leases.claim(session, 2, ENDING)
            for number, session in enumerate(sessions)
        )
    )
    return {session.session_id: claim for session, claim in zip(sessions, claims, strict=True)}
