"""The audits API recognises API keys by their digests; when one was used it does not write."""

from infra.migrations.privileges import AUDITS, grant

revision = "0033"
down_revision = "0030"


def upgrade() -> None:
    """Apply it."""
    grant(AUDITS, {"identity_api_key_secrets": "select (api_key_id, digest, scopes, expires_at, revoked_at)"})
