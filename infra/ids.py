"""The only source of randomness: ids that sort by time, and keys."""

import secrets
from uuid import UUID

import uuid_utils


def new_id() -> str:
    """A UUIDv7: unique, and sorted by the time it was made (RFC 9562)."""
    return str(uuid_utils.uuid7())


def new_uuid() -> UUID:
    """A UUIDv7 as the database drivers take it."""
    return UUID(int=uuid_utils.uuid7().int)


def new_secret(bytes_long: int = 32) -> bytes:
    """Key material from the operating system."""
    return secrets.token_bytes(bytes_long)
