"""API keys of servers and dashboards, each a stream of its own: pure. The key itself is in no event."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from commands.decider import Decider
from commands.identity.refusals import ApiKeyExists, ApiKeyExpiryPast, ApiKeyUnknown
from events.envelope import Event
from events.identity import ApiKeyIssued, ApiKeyRevoked
from events.types import ApiKeyId


@dataclass(frozen=True, kw_only=True)
class IssueApiKey:
    """Give a server or a dashboard a key of its own."""

    issued: ApiKeyIssued


@dataclass(frozen=True, kw_only=True)
class RevokeApiKey:
    """Take a key no more."""

    api_key_id: ApiKeyId


ApiKeyCommand: TypeAlias = IssueApiKey | RevokeApiKey


class ApiKeyState(Struct, frozen=True, kw_only=True):
    """A key, and whether it was revoked."""

    issued: ApiKeyIssued | None = None
    revoked: bool = False


def evolve(state: ApiKeyState, event: Event) -> ApiKeyState:
    """The state after an event."""
    return replace(state, issued=event) if isinstance(event, ApiKeyIssued) else replace(state, revoked=True)


def decide(command: ApiKeyCommand, state: ApiKeyState, now: datetime) -> list[Event]:
    """Raises ApiKeyExists, ApiKeyExpiryPast, ApiKeyUnknown."""
    match command:
        case IssueApiKey(issued=issued):
            if state.issued is not None and state.issued != issued:
                raise ApiKeyExists(f"another API key was issued as {issued.api_key_id}")
            if state.issued is None and issued.expires_at is not None and issued.expires_at <= now:
                raise ApiKeyExpiryPast("expires_at has passed; let it lie ahead, or leave it out")
            return [] if state.issued else [issued]
        case RevokeApiKey(api_key_id=api_key_id):
            if state.issued is None:
                raise ApiKeyUnknown(f"no API key {api_key_id!r} was issued")
            return [] if state.revoked else [ApiKeyRevoked(api_key_id=api_key_id)]


API_KEY: Final = Decider[ApiKeyCommand, ApiKeyState](ApiKeyState(), decide, evolve)
