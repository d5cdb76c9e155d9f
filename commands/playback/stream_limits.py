"""What a viewer is told when every place of the account is taken: which streams have them, and how to end one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec
from prometheus_client import Counter

from commands.playback.leases import RunningStream
from commands.playback.refusals import StreamLimitReached

REACHED: Final = Counter("playhead_stream_limits_reached_total", "Starts for which the account had no place left")


class StreamTaken(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that runs, as a viewer recognises it. `termination_code`: a start sends it in `terminate` to end it."""

    session_id: str
    profile_id: str
    device_name: str | None
    device_type: str
    title_name: str
    since: datetime
    state: Literal["playing", "paused"]
    termination_code: str


def limit_reached(
    max_streams: int, running: Sequence[RunningStream], device_names: Sequence[str | None]
) -> StreamLimitReached:
    """The refusal of a start for which there is no place. `device_names`: of the running streams, opened."""
    REACHED.inc()
    return StreamLimitReached(
        f"the account may play {max_streams} at a time: stop one, or start again with its termination_code in"
        " `terminate`, or take a larger plan",
        members={"max_streams": max_streams, "streams": [*map(_taken, running, device_names)]},
    )


def _taken(stream: RunningStream, device_name: str | None) -> StreamTaken:
    session = stream.session
    return StreamTaken(
        session_id=session.session_id,
        profile_id=session.profile_id,
        device_name=device_name,
        device_type=session.device.type,
        title_name=session.title.name,
        since=session.started_at,
        state="paused" if stream.is_paused else "playing",
        termination_code=stream.termination_code,
    )
