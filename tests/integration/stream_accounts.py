"""An account whose streams a test starts, reports and ends, by the leases alone; its time passes as the test says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from commands.playback.leases import Claim, Claimed, Ending, Leases, LimitReached, Renewal, ended_by, progress_of
from events.playback import Heartbeat, SessionSnapshot, TerminatedBy
from events.types import AccountId
from infra import redis as redis_client
from infra.ids import new_id
from infra.redis import Redis
from infra.settings import Settings
from tests import builders

LEASE_MS: Final = 30_000
PAUSED_MS: Final = 1_800_000
MINUTE_MS: Final = 60_000


@dataclass
class Account:
    """An account that may play `limit` at a time."""

    leases: Leases
    redis: Redis
    account_id: AccountId
    limit: int | None = 2

    def session(self, name: str = "a", *, after_s: float = 0, **changes: Any) -> SessionSnapshot:
        """A session of this name that starts so long after the evening begins."""
        return builders.session(
            f"{name}-{self.account_id}",
            **{"account_id": self.account_id, "started_at": builders.EVENING + timedelta(seconds=after_s), **changes},
        )

    async def start(self, session: SessionSnapshot, *codes: str) -> Claim:
        ending = Ending(reason="replaced", by=ended_by(session), at=session.started_at, principal="viewer")
        return await self.leases.claim(session, self.limit, ending, codes)

    async def started(self, name: str = "a", **changes: Any) -> SessionSnapshot:
        """A session that was granted and recorded."""
        session = self.session(name, **changes)
        assert isinstance(await self.start(session), Claimed)
        await self.leases.confirm(session)
        return session

    async def beat(self, session: SessionSnapshot, *seqs: int, unchecked: bool = False) -> Renewal:
        """A report of heartbeats that play on."""
        return await self.report(session, *(builders.report(Heartbeat, seq) for seq in seqs), unchecked=unchecked)

    async def report(self, session: SessionSnapshot, *reports: Any, unchecked: bool = False) -> Renewal:
        grant = builders.grant(session, max_streams=self.limit, unchecked=unchecked)
        return await self.leases.renew(grant, progress_of(reports))

    async def stop(self, session: SessionSnapshot) -> Renewal:
        return await self.leases.end(builders.grant(session, max_streams=self.limit), progress_of([]))

    async def running(self) -> dict[str, str]:
        """The termination codes of the streams that run, by the first word of their session."""
        ending = Ending(reason="remote", by=TerminatedBy(), at=builders.EVENING)
        refused = await self.leases.claim(self.session(new_id()), 0, ending)
        assert isinstance(refused, LimitReached)
        return {stream.session.session_id.partition("-")[0]: stream.termination_code for stream in refused.running}

    async def kept(self) -> set[str]:
        """The sessions that Redis keeps a lease of, whether it has ended or not."""
        fields = await self.redis.hgetall(f"playback:{{{self.account_id}}}:leases")
        return {field.decode() if isinstance(field, bytes) else field for field in fields} - {"since"}

    async def pass_by(self, ms: int) -> None:
        """Let time pass: all that Redis keeps of the account's leases was so long ago."""
        key = f"playback:{{{self.account_id}}}:leases"
        for session, kept in (await self.redis.hgetall(key)).items():
            numbers = [int(number) for number in kept.split()]
            times = (0, 1, 3) if len(numbers) > 1 else (0,)
            for place in times:
                numbers[place] = max(0, numbers[place] - ms) if numbers[place] else 0
            await self.redis.hset(key, session, " ".join(map(str, numbers)))

    async def forget(self) -> None:
        """Let Redis lose all that it keeps of the account, as one that restarted empty."""
        keys = [key async for key in self.redis.scan_iter(match=f"playback:{{{self.account_id}}}:*", count=10_000)]
        if keys:
            await self.redis.delete(*keys)


@asynccontextmanager
async def opened_account(settings: Settings, limit: int | None = 2) -> AsyncIterator[Account]:
    client, looking = redis_client.connect(settings, is_timed=False), redis_client.connect(settings)
    yield Account(Leases(client, settings), looking, AccountId(new_id()), limit)
    await client.aclose()
    await looking.aclose()
