"""API keys in Postgres: what servers and dashboards may do, and who said so. The keys themselves are nowhere."""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from events.envelope import Event, Recorded
from events.identity import ApiKeyEvent, ApiKeyIssued, ApiKeyRevoked
from events.registry import members
from events.topics import IDENTITY
from projections.views import KeyedView


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `issued_by`: the principal."""

    api_key_id: str
    name: str
    scopes: tuple[str, ...]
    issued_at: datetime
    issued_by: str | None
    expires_at: datetime | None
    revoked_at: datetime | None = None


class ApiKeys(KeyedView[ApiKey, str]):
    """One row a key; a revoked one stays."""

    name = "identity_api_keys"
    row = ApiKey
    topics = (IDENTITY,)
    events = members(ApiKeyEvent)

    def key(self, recorded: Recorded[Event]) -> str:
        """The key's id."""
        assert isinstance(recorded.data, ApiKeyIssued | ApiKeyRevoked)
        return recorded.data.api_key_id

    def project(self, row: ApiKey | None, recorded: Recorded[Event]) -> ApiKey | None:
        """The key when it was issued, or revoked."""
        match recorded.data:
            case ApiKeyIssued() as event:
                return ApiKey(
                    api_key_id=event.api_key_id,
                    name=event.name,
                    scopes=event.scopes,
                    issued_at=recorded.envelope.time,
                    issued_by=recorded.envelope.principal,
                    expires_at=event.expires_at,
                )
            case ApiKeyRevoked() if row is not None:
                return replace(row, revoked_at=recorded.envelope.time)
            case _:
                return row
