"""Ending a session from elsewhere: PlaybackSessionTerminated, in the history of the profile whose session it was.

Redis decides first (leases/), then Kafka is told. Whoever dies in between leaves it to the session's next report, which
tells again what nobody noted as told: under the same id, so that twice counts once.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg
from cryptography.exceptions import InvalidTag
from msgspec import structs
from prometheus_client import Counter

from commands.dependencies import Resources
from commands.playback.leases import Ending, Renewal, Terminated, Termination
from commands.playback.recording import recorded
from commands.playback.refusals import ProfileRequired, SessionTerminated, SessionUnknown
from commands.playback.reports import Result
from events.envelope import Context
from events.playback import PlaybackSessionTerminated, SessionSnapshot, TerminatedBy
from events.topics import PLAYBACK
from events.types import AccountId, ProfileId, SessionId
from infra.access.permissions import Principal
from infra.positions import Position
from infra.publisher import Unpublished
from infra.telemetry import log

TERMINATED: Final = Counter("playhead_sessions_terminated_total", "Sessions that were ended from elsewhere", ["reason"])


async def terminate_playback(
    opened: Resources, session_id: SessionId, caller: Principal, context: Context
) -> Position | None:
    """End a session of the caller's account, of whichever profile; ending it again changes nothing. None: it had ended,
    or its next report tells it. Raises ProfileRequired, SessionUnknown, LeasesAway.
    """
    if caller.account_id is None:
        raise ProfileRequired("ask for a token with an account")
    by = TerminatedBy(profile_id=ProfileId(caller.profile_id) if caller.profile_id else None)
    ending = Ending(reason="remote", by=by, at=opened.clock(), principal=caller.subject)
    how, session = await opened.leases.terminate(AccountId(caller.account_id), session_id, ending)
    if how is Termination.UNKNOWN:
        raise SessionUnknown(f"the account has no session {session_id[:64]} that ended less than a day ago")
    return await tell_soon(opened, [session], ending, context) if session else None


async def tell_of(opened: Resources, session: SessionSnapshot, renewal: Renewal, context: Context) -> None:
    """Tell what a session's renewal brought about: that others ended for it, or that it had been ended itself and
    nobody said so yet. Raises Unpublished.
    """
    if renewal.ending is not None:
        await tell_soon(opened, renewal.replaced, renewal.ending, context)
    own = renewal.terminated
    if own is not None and own.ending is not None and not own.is_told:
        await tell(opened, session, own.ending, context)


async def tell_soon(
    opened: Resources, sessions: Sequence[SessionSnapshot], ending: Ending, context: Context
) -> Position | None:
    """Tell of sessions that were ended; where Kafka does not take it, their next reports do."""
    position = None
    for session in sessions:
        try:
            position = await tell(opened, session, ending, context)
        except Unpublished as error:
            log.warning("termination_told_later", session=session.session_id, reason=error.detail)
    return position


async def tell(opened: Resources, session: SessionSnapshot, ending: Ending, context: Context) -> Position:
    """Tell of a session that was ended. Raises Unpublished."""
    terminated = PlaybackSessionTerminated(session=session, reason=ending.reason, by=ending.by)
    doer = structs.replace(context, principal=ending.principal)
    event_id = f"{session.session_id}:terminated"
    event = recorded(terminated, session, doer, event_id=event_id, at=ending.at, taken_at=ending.at)
    position = await opened.publisher.publish(PLAYBACK.name, session.profile_id, [event])
    await opened.leases.told(session.account_id, [session.session_id])
    TERMINATED.labels(ending.reason).inc()
    return position


async def terminated(
    opened: Resources,
    account_id: AccountId,
    how: Terminated,
    *,
    results: Sequence[Result] = (),
    headers: Mapping[str, str] | None,
) -> SessionTerminated:
    """The refusal of a report for a session that was ended, whose events are recorded all the same."""
    by = await _shown(opened, account_id, how.ending.by) if how.ending else None
    told = {"reason": how.ending.reason, "ended_by": by} if how.ending else {}
    return SessionTerminated(
        "the session was ended from elsewhere, and its report is recorded: stop playing, and tell the viewer",
        members={**told, "results": results},
        headers=headers,
    )


async def _shown(opened: Resources, account_id: AccountId, by: TerminatedBy) -> dict[str, object]:
    """Who ended it, with the device's name opened; without it where that takes too long, or Postgres is away."""
    shown: dict[str, object] = structs.asdict(by)
    try:
        async with asyncio.timeout(opened.settings.device_name_timeout_s):
            [shown["device_name"]] = await opened.persons.opened(account_id, [by.device_name])
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, InvalidTag):
        shown["device_name"] = None
    return {name: value for name, value in shown.items() if value is not None}
