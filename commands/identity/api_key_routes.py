"""API keys over HTTP: issued to servers and dashboards by staff, shown once, and revoked.

The secret of a key is not random but derived from its id by the installation's master key. So a request that is
repeated under its Idempotency-Key, because the first reply was lost, is answered with the key of the first time,
although no key is stored anywhere (docs/adr/0013-an-api-key-is-derived-from-its-id.md).
"""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from commands.fields import Body, PlainName
from commands.handling import IdempotencyKeyMissing
from commands.identity.api_keys import API_KEY, IssueApiKey, RevokeApiKey
from commands.identity.problems import refused_by
from commands.identity.refusals import ApiKeyExpiryPast, ApiKeyShown, ApiKeyUnknown, ScopesNotYours
from commands.identity.requests import At, Desk
from commands.identity.streams import of_api_key
from commands.replies import Recorded
from events.identity import ApiKeyIssued
from events.types import ApiKeyId
from infra.access.api_keys import digest_of, written
from infra.access.authentication import Needs
from infra.access.permissions import Principal, Scope
from infra.ids import new_id
from infra.moments import Moment
from infra.postgres import Connection

KEEP: Final = "insert into identity_api_key_secrets values ($1, $2, $3, $4, $5)"
IS_KEPT: Final = "select exists (select from identity_api_key_secrets where api_key_id = $1 and digest = $2)"
EXAMPLE: Final[dict[str, Any]] = {"name": "Grafana", "scopes": ["playback:read"], "expires_at": "2027-01-01T00:00:00Z"}

ApiKeyIdPath = Annotated[ApiKeyId, Path(min_length=1, max_length=64, pattern="^[0-9a-zA-Z_-]+$")]
Issuer = Annotated[Principal, Depends(Needs(Scope.API_KEYS_WRITE))]

router = APIRouter(prefix="/v1/api-keys", tags=["API keys"])


class IssueBody(Body):
    """A key to issue. `scopes`: of those that the issuer has. `expires_at`: left out, it is taken until revoked."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: PlainName
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    expires_at: Moment | None = None

    def issued_as(self, api_key_id: ApiKeyId) -> ApiKeyIssued:
        """As events hold it."""
        return ApiKeyIssued(
            api_key_id=api_key_id, name=self.name, scopes=tuple(sorted(self.scopes)), expires_at=self.expires_at
        )


class ApiKeyReply(BaseModel):
    """A key, shown this once: send it as `Authorization: Bearer <key>`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "api_key_id": "019aa3c2-7d1e-7c3a-9a52-0c2f3f1f6f10",
                    "key": "phk_0c2f3f1f6f10_47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU_1c291ca3",
                    **EXAMPLE,
                }
            ]
        }
    )

    api_key_id: str
    key: str
    name: str
    scopes: list[str]
    expires_at: datetime | None


@router.post(
    "", status_code=201, responses=refused_by(IdempotencyKeyMissing, ScopesNotYours, ApiKeyExpiryPast, ApiKeyShown)
)
async def issue_api_key(body: IssueBody, caller: Issuer, at: At) -> ApiKeyReply:
    """Issue a key. Needs an Idempotency-Key: repeated under it, the same key is replied."""
    _check_scopes(body.scopes, caller)
    if at.terms.idempotency is None:
        raise IdempotencyKeyMissing("send an Idempotency-Key, so that a reply that is lost costs no second key")
    issued = body.issued_as(ApiKeyId(new_id()))
    outcome = await at.handle(
        IssueApiKey(issued=issued), API_KEY, of_api_key(issued.api_key_id), lambda inside: _keep(at, issued, inside)
    )
    key = _key_of(at, outcome.subject)
    if outcome.subject != issued.api_key_id:
        await _check_kept(at, outcome.subject, key)
    at.response.headers["Cache-Control"] = "no-store"
    return ApiKeyReply(
        api_key_id=outcome.subject,
        key=key,
        name=issued.name,
        scopes=list(issued.scopes),
        expires_at=issued.expires_at,
    )


@router.post("/{api_key_id}/revoke", responses=refused_by(ApiKeyUnknown))
async def revoke_api_key(api_key_id: ApiKeyIdPath, _: Issuer, at: At) -> Recorded:
    """Take a key no more. Within settings.api_key_kept_s every process knows it."""
    outcome = await at.handle(RevokeApiKey(api_key_id=api_key_id), API_KEY, of_api_key(api_key_id))
    return Recorded.of(outcome)


def _check_scopes(asked: frozenset[Scope], caller: Principal) -> None:
    """Raises ScopesNotYours. A scope without a colon is to what is the caller's own, and a key owns nothing."""
    refused = sorted(scope for scope in asked if scope not in caller.scopes or ":" not in scope)
    if refused:
        raise ScopesNotYours(
            f"a key cannot be given {', '.join(refused)}: you have it not yourself, or only a viewer has it",
            members={"scopes": refused},
        )


def _key_of(at: Desk, api_key_id: str) -> str:
    return written(api_key_id, at.master.digest(f"api key {api_key_id}"))


async def _keep(at: Desk, issued: ApiKeyIssued, inside: Connection) -> None:
    digest = digest_of(_key_of(at, issued.api_key_id))
    await inside.execute(KEEP, issued.api_key_id, digest, issued.name, list(issued.scopes), issued.expires_at)


async def _check_kept(at: Desk, api_key_id: str, key: str) -> None:
    """Raises ApiKeyShown for a key that the master key of today does not lead to."""
    if not await at.opened.pool.fetchval(IS_KEPT, api_key_id, digest_of(key)):
        raise ApiKeyShown(
            f"API key {api_key_id} was shown, and cannot be made again; revoke it and issue another",
            members={"api_key_id": api_key_id},
        )
