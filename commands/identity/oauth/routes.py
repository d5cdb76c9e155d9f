"""OAuth over HTTP: tokens for refresh tokens and device codes, and where clients and verifiers find all of it.

The forms, and the members of refusals, are as RFC 6749, 7009, 8414 and 8628 have them.
"""

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from commands.dependencies import Resources, resources
from commands.identity.oauth import refusals as r
from commands.identity.oauth.device_codes import Waiting, begin, collect
from commands.identity.oauth.forms import Form, documented, required
from commands.identity.oauth.refresh import end, refresh
from commands.identity.problems import refused_by
from commands.identity.requests import AtDoor
from commands.identity.signing_in import DeviceToSignIn, TokensReply
from infra.access.authentication import Public
from infra.access.permissions import VIEWER
from infra.http.openapi import replies

REFRESH_GRANT: Final = "refresh_token"
DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
JWKS_MAX_AGE_S: Final = 300
_CLIENT_ID: Final = re.compile(r"[0-9A-Za-z_.-]{1,64}")

router = APIRouter(tags=["oauth"])


class DeviceAuthorizationReply(BaseModel):
    """What a device shows, and asks with (RFC 8628 section 3.2). Seconds."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "device_code": "8d3f2c...",
                    "user_code": "WDJB-MJHT",
                    "verification_uri": "https://play.example/device",
                    "verification_uri_complete": "https://play.example/device?user_code=WDJB-MJHT",
                    "expires_in": 600,
                    "interval": 5,
                }
            ]
        }
    )

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


@router.post(
    "/oauth/token",
    responses=refused_by(
        r.OAuthRequestInvalid,
        r.GrantTypeUnsupported,
        r.GrantInvalid,
        r.ScopeInvalid,
        r.AuthorizationPending,
        r.SlowDown,
        r.DeviceCodeExpired,
        r.DeviceDenied,
    ),
    openapi_extra=documented(
        {"grant_type": REFRESH_GRANT, "refresh_token": "phr.019aa3c2-7d1e-7c3a-9a52-0c2f3f1f6f10.1.5f0c..."},
        "grant_type",
    ),
    dependencies=[Depends(Public("the refresh token or the device code says who it is"))],
)
async def token(given: Form, at: AtDoor) -> TokensReply:
    """Tokens: for a refresh token, which is used up by it, or for a device code that was approved."""
    at.response.headers.update(r.NO_STORE)
    match required(given, "grant_type"):
        case "refresh_token":
            return await refresh(at, required(given, "refresh_token"), given.get("scope"))
        case "urn:ietf:params:oauth:grant-type:device_code":
            return await collect(at, required(given, "device_code"), required(given, "client_id"))
        case _:
            raise r.GrantTypeUnsupported(f"the grant types are {REFRESH_GRANT} and {DEVICE_GRANT}")


@router.post(
    "/oauth/revoke",
    response_class=Response,
    responses=refused_by(r.OAuthRequestInvalid),
    openapi_extra=documented({"token": "phr.019aa3c2-7d1e-7c3a-9a52-0c2f3f1f6f10.1.5f0c..."}, "token"),
    dependencies=[Depends(Public("the token says whose sign-in it ends"))],
)
async def revoke(given: Form, at: AtDoor) -> Response:
    """End the sign-in of a refresh token or an access token; 200 too for one that does not hold (RFC 7009)."""
    await end(at, required(given, "token"))
    return Response(status_code=200, headers=r.NO_STORE)


@router.post(
    "/oauth/device_authorization",
    responses=refused_by(r.OAuthRequestInvalid),
    openapi_extra=documented(
        {"client_id": "tv", "device_name": "Living room", "device_type": "tv", "device_platform": "webos"}, "client_id"
    ),
    dependencies=[Depends(Public("a device that nobody is signed in on asks for a code to show"))],
)
async def device_authorization(given: Form, at: AtDoor) -> DeviceAuthorizationReply:
    """Codes for a device without a keyboard: one to show, and one to ask with at /oauth/token until it is approved."""
    client_id = required(given, "client_id")
    if not _CLIENT_ID.fullmatch(client_id):
        raise r.OAuthRequestInvalid("client_id is at most 64 letters, digits, dots, dashes and underscores")
    codes = await begin(at, _waiting(client_id, given))
    settings = at.opened.settings
    at.response.headers.update(r.NO_STORE)
    return DeviceAuthorizationReply(
        device_code=codes.device_code,
        user_code=codes.user_code,
        verification_uri=settings.device_code_url,
        verification_uri_complete=f"{settings.device_code_url}?user_code={codes.user_code}",
        expires_in=settings.device_code_ttl_s,
        interval=settings.device_code_interval_s,
    )


@router.get(
    "/.well-known/jwks.json",
    responses=replies({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAY...", "kid": "kPrK_q...", "use": "sig"}]}),
    dependencies=[Depends(Public("public keys, by which others verify access tokens"))],
)
async def jwks(response: Response, opened: Annotated[Resources, Depends(resources)]) -> dict[str, Any]:
    """The public keys of access tokens (RFC 7517)."""
    max_age_s = min(JWKS_MAX_AGE_S, opened.settings.keys_announced_s)  # a key is read everywhere before it signs
    response.headers["Cache-Control"] = f"public, max-age={max_age_s}"
    return dict(opened.tokens.keys.jwks())


@router.get(
    "/.well-known/oauth-authorization-server",
    responses=replies({"issuer": "https://play.example", "token_endpoint": "https://play.example/oauth/token"}),
    dependencies=[Depends(Public("where clients find the routes of OAuth"))],
)
async def metadata(response: Response, opened: Annotated[Resources, Depends(resources)]) -> dict[str, Any]:
    """Where clients find what (RFC 8414)."""
    base = opened.settings.oauth_url.rstrip("/")
    response.headers["Cache-Control"] = f"public, max-age={JWKS_MAX_AGE_S}"
    return {
        "issuer": opened.settings.token_issuer,
        "jwks_uri": f"{base}/.well-known/jwks.json",
        "token_endpoint": f"{base}/oauth/token",
        "device_authorization_endpoint": f"{base}/oauth/device_authorization",
        "revocation_endpoint": f"{base}/oauth/revoke",
        "grant_types_supported": [REFRESH_GRANT, DEVICE_GRANT],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": sorted(VIEWER),
    }


def _waiting(client_id: str, given: Form) -> Waiting:
    try:
        device = DeviceToSignIn(
            name=given.get("device_name", client_id),
            type=given.get("device_type", "tv"),
            platform=given.get("device_platform"),
            model=given.get("device_model"),
        )
    except ValidationError as error:
        fields = sorted({f"device_{each['loc'][0]}" for each in error.errors()})
        raise r.OAuthRequestInvalid(f"not what a device is described by: {', '.join(fields)}") from error
    return Waiting(client_id, device.name, device.type, device.platform, device.model)
