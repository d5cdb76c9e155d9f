"""StartPlayback's body and reply, as players see them. Reports are events/playback.py's own structs."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from commands.fields import Body, Code, Id
from events.playback import DeviceSnapshot
from events.subscription import Resolution
from events.types import DeviceId, Sealed

TERMINATED_MAX = 16
"""How many streams one start may end."""


class DeviceBody(Body):
    """The device that plays."""

    device_id: Id
    type: Code
    name: Code | None = None
    platform: Code | None = None
    os: Code | None = None
    model: Code | None = None
    player: Code | None = None
    player_version: Code | None = None
    app_version: Code | None = None

    def value_object(self, name: Sealed | None) -> DeviceSnapshot:
        """As events hold it: `name` is sealed for its owner, and left out where nobody can."""
        return DeviceSnapshot(
            device_id=DeviceId(self.device_id),
            type=self.type,
            name=name,
            platform=self.platform,
            os=self.os,
            model=self.model,
            player=self.player,
            player_version=self.player_version,
            app_version=self.app_version,
        )


class StartBody(Body):
    """What to play, where. A player that makes its own session ids (UUIDs) can repeat a start that got no reply."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "title_id": "019aa3c2-7d1e-7c3a-9a52-0c2f3f1f6f10",
                    "device": {"device_id": "living-room", "type": "tv", "player": "hls.js"},
                    "start_position_ms": 0,
                }
            ]
        }
    )

    title_id: Id
    device: DeviceBody
    start_position_ms: Annotated[int, Field(ge=0, le=2**42)] = 0
    session_id: UUID | None = None
    terminate: Annotated[list[Code], Field(max_length=TERMINATED_MAX)] = Field(
        default=[], description="The termination codes of streams that end for this one (of a 409 stream-limit-reached)"
    )
    offline: bool = Field(
        default=False, description="For a download: it takes no stream, and is reported when the device is online again"
    )


class StartedReply(BaseModel):
    """A session granted. Send a heartbeat every `heartbeat_interval_s`; the lease ends three of them after the last. A
    download has none, and a token that holds for as long as it may be reported. `max_resolution`: the best that the
    plan shows; null: as good as it comes.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "session_id": "019aa3c9-2f0b-7d51-8a3e-55f0a1b2c3d4",
                    "playback_token": "eyJhbGciOiJIUzI1NiJ9...",
                    "heartbeat_interval_s": 10,
                    "lease_expires_at": "2026-03-01T20:00:30Z",
                    "token_expires_at": "2026-03-02T20:00:00Z",
                    "max_resolution": "1080p",
                }
            ]
        }
    )

    session_id: str
    playback_token: str
    heartbeat_interval_s: int
    lease_expires_at: datetime | None
    token_expires_at: datetime
    max_resolution: Resolution | None = None
