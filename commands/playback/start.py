"""StartPlayback: a session claimed in Redis, recorded on Kafka, confirmed, and a token that carries it.

A process that dies after the claim leaves a session in state "starting", which its profile may claim again; the
event's id is the session's, so recording it twice counts once.
"""

from datetime import datetime, timedelta

from commands.dependencies import Resources
from commands.playback.bodies import StartBody, StartedReply
from commands.playback.leases import CLAIMED
from commands.playback.recording import recorded
from commands.playback.refusals import DeviceNotYours, PinRequired, ProfileRequired, SessionAlreadyStarted
from commands.playback.titles import rated_title
from events.envelope import Context
from events.playback import PlaybackStarted, SessionSnapshot, TitleSnapshot
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
    session = await _session(opened, body, caller)
    state = await opened.leases.claim(session.session_id, session.profile_id)
    if state != CLAIMED:
        raise SessionAlreadyStarted(
            f"session {session.session_id} is {state}; start a new one under a new id", members={"state": state}
        )
    started = PlaybackStarted(session=session, start_position_ms=body.start_position_ms)
    at = session.started_at
    event = recorded(started, session, context, event_id=session.session_id, at=at, taken_at=at)
    position = await opened.publisher.publish(PLAYBACK.name, session.profile_id, [event])
    await opened.leases.confirm(session.session_id)
    return _reply(opened, session), position


async def _session(opened: Resources, body: StartBody, caller: Principal) -> SessionSnapshot:
    if caller.profile_id is None or caller.account_id is None:
        raise ProfileRequired("ask for a token with an account and a profile: playhead token --profile ...")
    _check_device(opened, body.device.device_id, caller)
    return SessionSnapshot(
        session_id=SessionId(str(body.session_id) if body.session_id else new_id()),
        account_id=AccountId(caller.account_id),
        profile_id=ProfileId(caller.profile_id),
        started_at=opened.clock(),
        title=await _title(opened, TitleId(body.title_id), caller),
        device=body.device.value_object(),
    )


def _check_device(opened: Resources, device_id: str, caller: Principal) -> None:
    """Raises DeviceNotYours. A token that is bound to no device, as those of `playhead token`, may name any."""
    if caller.device_id not in (None, device_id):
        raise DeviceNotYours(
            f"the access token is for device {caller.device_id}; send that as device_id, or sign in on this device",
            members={"device_id": caller.device_id},
        )
    if opened.revocations.has_device(device_id):
        raise DeviceNotYours("the device was removed from its account; sign in on it again")


async def _title(opened: Resources, title_id: TitleId, caller: Principal) -> TitleSnapshot:
    title = await rated_title(opened.pool, title_id)
    if not title.is_within(caller.maturity_limit):
        unlock = f"/v1/accounts/{caller.account_id}/profiles/{caller.profile_id}/unlock"
        raise PinRequired(
            f"the title is above the profile's maturity limit; POST the profile's PIN to {unlock}, and start with the"
            " token of that reply",
            members={
                "minimum_age": title.minimum_age,
                "maturity_limit": caller.maturity_limit,
                "unlock": unlock,
            },
        )
    return title.snapshot


def _reply(opened: Resources, session: SessionSnapshot) -> StartedReply:
    settings = opened.settings
    expires_at: datetime = session.started_at + timedelta(seconds=settings.playback_token_ttl_s)
    return StartedReply(
        session_id=session.session_id,
        playback_token=opened.tokens.mint_playback(session, expires_at),
        heartbeat_interval_s=settings.heartbeat_interval_s,
        lease_expires_at=session.started_at + timedelta(seconds=settings.lease_s),
        token_expires_at=expires_at,
    )
