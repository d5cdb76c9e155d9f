"""The streams of the context, by what they are about."""

from commands.handling import Target
from events.types import AccountId, ApiKeyId


def of_account(account_id: AccountId) -> Target:
    """The stream of an account."""
    return Target(account_id, f"identity.account-{account_id}")


def of_api_key(api_key_id: ApiKeyId) -> Target:
    """The stream of an API key."""
    return Target(api_key_id, f"identity.api_key-{api_key_id}")
