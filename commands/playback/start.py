"""StartPlayback: a session claimed in Redis, recorded on Kafka, confirmed, and a token that carries it.

A process that dies after the claim leaves a session in state "starting", which its profile may claim again; the
event's id is the session's, so recording it twice counts once.
"""

from datetime import datetime, timedelta

from commands.dependencies import Resources
from commands.playback.admission import Admission, admit
from commands.playback.bodies import StartBody, StartedReply
from commands.playback.grants import Grant
from commands.playback.leases import CLAIMED
from commands.playback.recording import recorded
from commands.playback.refusals import ProfileRequired, SessionAlreadyStarted
from events.envelope import Context
from events.playback import PlaybackStarted, SessionSnapshot
from events.topics import PLAYBACK
from events.types import AccountId, ProfileId, SessionId, TitleId
from infra.access.permissions import Principal
from infra.ids import new_id
from infra.positions import Position


async def start_playback(
    opened: Resources, body: StartBody, caller: Principal, context: Context
) -> tuple[StartedReply, Position]:
    """Grant a session. Raises ProfileRequired, DeviceNotYours, TitleUnknown, TitleNotPlayable, PinRequired,
    SessionAlreadyStarted, KafkaUnavailable.
    """
    admission = await admit(opened, TitleId(body.title_id), body.device.device_id, caller)
    session = _session(opened, body, caller, admission)
    state = await opened.leases.claim(session.session_id, session.profile_id)
    if state != CLAIMED:
        raise SessionAlreadyStarted(
            f"session {session.session_id} is {state}; start a new one under a new id", members={"state": state}
        )
    started = PlaybackStarted(
        session=session,
        start_position_ms=body.start_position_ms,
        territory=admission.territory,
        entitled_by=admission.entitled_by,
    )
    at = session.started_at
    event = recorded(started, session, context, event_id=session.session_id, at=at, taken_at=at)
    position = await opened.publisher.publish(PLAYBACK.name, session.profile_id, [event])
    await opened.leases.confirm(session.session_id)
    return _reply(opened, Grant(session=session, max_streams=admission.max_streams)), position


def _session(opened: Resources, body: StartBody, caller: Principal, admission: Admission) -> SessionSnapshot:
    if caller.profile_id is None or caller.account_id is None:
        raise ProfileRequired("ask for a token with an account and a profile: playhead token --profile ...")
    return SessionSnapshot(
        session_id=SessionId(str(body.session_id) if body.session_id else new_id()),
        account_id=AccountId(caller.account_id),
        profile_id=ProfileId(caller.profile_id),
        started_at=opened.clock(),
        title=admission.title,
        device=body.device.value_object(),
    )


def _reply(opened: Resources, grant: Grant) -> StartedReply:
    settings, session = opened.settings, grant.session
    expires_at: datetime = session.started_at + timedelta(seconds=settings.playback_token_ttl_s)
    return StartedReply(
        session_id=session.session_id,
        playback_token=opened.tokens.mint_playback(grant, expires_at),
        heartbeat_interval_s=settings.heartbeat_interval_s,
        lease_expires_at=session.started_at + timedelta(seconds=settings.lease_s),
        token_expires_at=expires_at,
    )
