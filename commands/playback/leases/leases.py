"""The leases of all accounts: a session holds a place for three heartbeats after each report. Redis's clock decides.

Redis away: starts and reports go on without leases (fail open, counted); Kafka is what must not lose anything. What was
let in then is reconciled with its next report (lua/place.lua, docs/adr/0014).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import msgspec
from redis.exceptions import RedisError

from commands.playback.grants import Grant
from commands.playback.leases.decisions import (
    STATES,
    decided,
    encoded,
    facts_of,
    keys_of,
    most,
    over_limit,
    started_ms,
    with_seqs,
)
from commands.playback.leases.outcomes import (
    Claim,
    Claimed,
    Ending,
    Held,
    LimitReached,
    Renewal,
    Termination,
    Unclaimed,
)
from commands.playback.leases.progress import Progress
from commands.playback.leases.scripts import FAILED_OPEN, Scripts, script_of
from events.playback import SessionSnapshot
from events.types import AccountId, SessionId
from infra.clock import Clock, utc_now
from infra.redis import Redis
from infra.settings import Settings

AWAY: Final = Renewal(Held.AWAY)
PLACE_WANTED: Final = -1
IS_ENDED: Final = 0


class LeasesAway(ConnectionError):
    """Redis does not answer, and what was asked needs it to."""


class Leases:
    """The leases, by a client that is not timed: the scripts that share a pipeline are timed together."""

    def __init__(self, redis: Redis, settings: Settings, clock: Clock = utc_now) -> None:
        self._redis = redis
        self._clock = clock
        self._timeout_s = settings.lease_timeout_s
        self._ttl_ms = settings.playback_token_ttl_s * 1000
        self._scripts = Scripts(redis, settings)
        self._start = script_of("start", settings)
        self._settle = script_of("settle", settings)
        self._renew = script_of("renew", settings)
        self._place = script_of("place", settings)
        self._mark = script_of("mark", settings)
        self._close = script_of("close", settings)
        self._terminate = script_of("terminate", settings)
        self._told = script_of("told", settings)

    async def claim(
        self, session: SessionSnapshot, max_streams: int | None, ending: Ending, codes: Sequence[str] = ()
    ) -> Claim:
        """Take a place for a new session in one step, ending the streams of these termination codes for it. `ending`:
        how theirs is told.
        """
        reply = await self._scripts.run(
            self._start,
            keys_of(session.account_id, session.session_id),
            session.session_id,
            session.profile_id,
            most(max_streams),
            started_ms(session),
            int(self._scripts.was_away),
            facts_of(session),
            encoded(ending),
            *codes,
        )
        if reply is None:
            return Claimed(unchecked=True)
        decision = decided(reply)
        if decision.how == b"claimed":
            return Claimed(replaced=decision.snapshots)
        if decision.how == b"limit":
            return LimitReached(decision.running)
        return Unclaimed(STATES[decision.how])

    async def confirm(self, session: SessionSnapshot) -> None:
        """Kafka has the start of a session that was claimed."""
        await self._scripts.run(self._settle, _short_keys(session), session.session_id, "recorded")

    async def release(self, session: SessionSnapshot) -> None:
        """Kafka did not take the start: the place is free, and its profile may claim the session again."""
        await self._scripts.run(self._settle, _short_keys(session), session.session_id, "released")

    async def renew(self, grant: Grant, progress: Progress) -> Renewal:
        """Renew a session's lease with a report that Kafka has acknowledged, and note which events those were."""
        session = grant.session
        if grant.offline:
            return await self._note(session, progress)
        reply = await self._scripts.run(
            self._renew, _short_keys(session), session.session_id, *progress[:4], *progress.runs
        )
        if reply is None:
            return AWAY
        until_ms, before = (reply, ()) if isinstance(reply, int) else with_seqs(reply)
        if until_ms > 0:
            return Renewal(Held.PLACE, until_ms, before)
        if until_ms == PLACE_WANTED:
            return await self._decide(grant, progress)
        return Renewal(Held.ENDED, 0, before) if until_ms == IS_ENDED else Renewal(Held.FREE, None, before)

    async def end(self, grant: Grant, progress: Progress) -> Renewal:
        """The viewer stopped: the place is free for good."""
        session = grant.session
        if grant.offline:
            return await self._note(session, progress)
        reply = await self._scripts.run(
            self._close, keys_of(session.account_id, session.session_id), session.session_id, "e", *progress.runs
        )
        return AWAY if reply is None else decided(reply).renewal()

    async def expire(self, account_id: AccountId, session_id: SessionId) -> bool:
        """Nothing more is expected of a session: its place is free, and its next report is told that it is gone. Does
        nothing to a session that has ended already. False: Redis is away, and does not know.
        """
        return await self._scripts.run(self._close, keys_of(account_id, session_id), session_id, "x") is not None

    async def terminate(
        self, account_id: AccountId, session_id: SessionId, ending: Ending
    ) -> tuple[Termination, SessionSnapshot | None]:
        """End a session of an account from elsewhere; its snapshot, if it had a place. Raises LeasesAway."""
        reply = await self._scripts.run(self._terminate, keys_of(account_id, session_id), session_id, encoded(ending))
        if reply is None:
            raise LeasesAway("Redis does not answer: the stream was not ended; try again")
        decision = decided(reply)
        return Termination(decision.how.decode()), next(iter(decision.snapshots), None)

    async def told(self, account_id: AccountId, session_ids: Sequence[SessionId]) -> None:
        """These sessions' endings are published."""
        await self._scripts.run(self._told, keys_of(account_id, SessionId(""))[2:3], *session_ids)

    async def own(self, session: SessionSnapshot) -> bool:
        """Whether no other account has a session under this id, which a player made; True when Redis is away."""
        key = f"playback_session:{{{session.session_id}}}"
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._redis.set(key, session.account_id, nx=True, px=self._ttl_ms)
                owner = await self._redis.get(key)
        except (RedisError, OSError):
            FAILED_OPEN.inc()
            return True
        return bool(owner == session.account_id.encode())

    async def known(self, account_id: AccountId, session_id: SessionId) -> bool:
        """Whether the account started a session under this id, and not too long ago; True when Redis is away."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return bool(await self._redis.exists(keys_of(account_id, session_id)[3]))
        except (RedisError, OSError):
            FAILED_OPEN.inc()
            return True

    async def _note(self, session: SessionSnapshot, progress: Progress) -> Renewal:
        reply = await self._scripts.run(self._mark, keys_of(session.account_id, session.session_id)[3:], *progress.runs)
        return AWAY if reply is None else Renewal(Held.FREE, None, msgspec.convert(reply, tuple[int, ...]))

    async def _decide(self, grant: Grant, progress: Progress) -> Renewal:
        session, now = grant.session, self._clock()
        ending = over_limit(now, session)
        reply = await self._scripts.run(
            self._place,
            keys_of(session.account_id, session.session_id),
            session.session_id,
            *progress[:4],
            most(grant.max_streams),
            started_ms(session),
            int(grant.unchecked),
            facts_of(session),
            encoded(ending),
            encoded(over_limit(now, None)),
            *progress.runs,
        )
        if reply is None:
            return AWAY
        renewal = decided(reply).renewal()
        return replace(renewal, ending=ending) if renewal.replaced else renewal


def _short_keys(session: SessionSnapshot) -> tuple[str, str]:
    account = f"playback:{{{session.account_id}}}"
    return f"{account}:leases", f"{account}:session:{session.session_id}"
