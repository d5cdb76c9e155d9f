"""StartPlayback: a session claimed in Redis, recorded on Kafka, confirmed, and a token that carries it.

The claim takes one of the account's places, in the same step ending the streams that the viewer gave up for it. A
process that dies after it leaves a session in state "starting", which its profile may claim again; the event's id is
the session's, so recording it twice counts once.
"""

from datetime import datetime, timedelta

from commands.dependencies import Resources
from commands.playback.admission import Admission, Asked, admit, begin_rental
from commands.playback.bodies import StartBody, StartedReply
from commands.playback.grants import Grant
from commands.playback.leases import Claimed, Ending, LimitReached, Unclaimed, ended_by
from commands.playback.recording import recorded
from commands.playback.refusals import SessionAlreadyStarted
from commands.playback.stream_limits import limit_reached
from commands.playback.terminating import tell_soon
from events.envelope import Context
from events.playback import PlaybackStarted, SessionSnapshot
from events.subscription import Resolution
from events.topics import PLAYBACK
from events.types import AccountId, ProfileId, SessionId, TitleId
from infra.access.permissions import Principal
from infra.ids import new_id
from infra.positions import Position


async def start_playback(
    opened: Resources, body: StartBody, caller: Principal, context: Context, *, territory: str | None
) -> tuple[StartedReply, Position]:
    """Grant a session to a viewer in a territory (None: nobody can tell). Raises what admit() does, and
    SessionAlreadyStarted, StreamLimitReached, KafkaUnavailable.
    """
    asked = Asked(
        title_id=TitleId(body.title_id),
        device_id=body.device.device_id,
        caller=caller,
        territory=territory,
        offline=body.offline,
    )
    admission = await admit(opened, asked)
    session = await _session(opened, body, caller, admission)
    if body.offline:
        return await _start_download(opened, session, body, admission, context)
    ending = Ending(reason="replaced", by=ended_by(session), at=session.started_at, principal=context.principal)
    claimed = await _claimed(opened, session, body, admission.max_streams, ending)
    try:
        position = await _record(opened, session, body, admission, context, unchecked=claimed.unchecked)
        await begin_rental(opened, admission, context)  # not for a start that was refused, and before there is a token
    except Exception:  # whatever it is, nobody plays
        await opened.leases.release(session)
        raise
    await opened.leases.confirm(session)
    await tell_soon(opened, claimed.replaced, ending, context)
    grant = Grant(session=session, max_streams=admission.max_streams, unchecked=claimed.unchecked)
    return _reply(opened, grant, admission.max_resolution), position


async def _start_download(
    opened: Resources, session: SessionSnapshot, body: StartBody, admission: Admission, context: Context
) -> tuple[StartedReply, Position]:
    """A session that takes no place, since nobody can count what plays where there is no network. A rental's hours
    begin now. Raises SessionAlreadyStarted, KafkaUnavailable.
    """
    if body.session_id is not None and (
        not await opened.leases.own(session) or await opened.leases.known(session.account_id, session.session_id)
    ):
        raise _already(session, "started")
    position = await _record(opened, session, body, admission, context, unchecked=False)
    await begin_rental(opened, admission, context)
    return _reply(opened, Grant(session=session, offline=True), admission.max_resolution), position


async def _claimed(
    opened: Resources, session: SessionSnapshot, body: StartBody, max_streams: int | None, ending: Ending
) -> Claimed:
    """A place for a session. Raises SessionAlreadyStarted, StreamLimitReached."""
    if body.session_id is not None and not await opened.leases.own(session):
        raise _already(session, "started")
    claim = await opened.leases.claim(session, max_streams, ending, body.terminate)
    match claim:
        case Unclaimed(state):
            raise _already(session, state)
        case LimitReached(running):
            assert max_streams is not None, "without a limit none is reached"
            names = await opened.persons.opened(session.account_id, [each.session.device.name for each in running])
            raise limit_reached(max_streams, running, names)
        case Claimed():
            return claim


def _already(session: SessionSnapshot, state: str) -> SessionAlreadyStarted:
    return SessionAlreadyStarted(
        f"session {session.session_id} is {state}; start a new one under a new id", members={"state": state}
    )


async def _record(
    opened: Resources,
    session: SessionSnapshot,
    body: StartBody,
    admission: Admission,
    context: Context,
    *,
    unchecked: bool,
) -> Position:
    started = PlaybackStarted(
        session=session,
        start_position_ms=body.start_position_ms,
        territory=admission.territory,
        entitled_by=admission.entitled_by,
        limit_unchecked=unchecked,
        offline=body.offline,
    )
    at = session.started_at
    event = recorded(started, session, context, event_id=session.session_id, at=at, taken_at=at)
    return await opened.publisher.publish(PLAYBACK.name, session.profile_id, [event])


async def _session(opened: Resources, body: StartBody, caller: Principal, admission: Admission) -> SessionSnapshot:
    assert caller.account_id is not None and caller.profile_id is not None, "whom admit() lets in has both"
    name = await opened.persons.sealed(caller.account_id, body.device.name) if body.device.name else None
    return SessionSnapshot(
        session_id=SessionId(str(body.session_id) if body.session_id else new_id()),
        account_id=AccountId(caller.account_id),
        profile_id=ProfileId(caller.profile_id),
        started_at=opened.clock(),
        title=admission.title,
        device=body.device.value_object(name),
    )


def _reply(opened: Resources, grant: Grant, max_resolution: Resolution | None) -> StartedReply:
    settings, session = opened.settings, grant.session
    holds = timedelta(seconds=settings.playback_token_ttl_s)
    if grant.offline:
        holds = timedelta(days=settings.download_token_ttl_days)
    expires_at: datetime = session.started_at + holds
    return StartedReply(
        session_id=session.session_id,
        playback_token=opened.tokens.mint_playback(grant, expires_at),
        heartbeat_interval_s=settings.heartbeat_interval_s,
        lease_expires_at=None if grant.offline else session.started_at + timedelta(seconds=settings.lease_s),
        token_expires_at=expires_at,
        max_resolution=max_resolution,
    )
