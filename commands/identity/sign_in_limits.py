"""How often a password may be tried: so that nobody guesses it, and nobody can lock its owner out by trying.

Strangers share a counter for each account; a device that was signed in before has one of its own, which strangers
cannot fill. It proves itself by a token that came with the sign-in: its id is no secret.
"""

import hmac
from base64 import urlsafe_b64encode
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from commands.identity.throttling import Limit
from infra.personal_data import MasterKey
from infra.settings import Settings

IPV6_SUBSCRIBER_BITS: Final = 64
"""What one subscriber is given at least; they may take any address in it (RFC 6177)."""


def limits_of_strangers(settings: Settings, client: str, whom: str) -> tuple[Limit, ...]:
    """For a client that shows nothing. `whom`: an account, or an address, whether it has an account or not."""
    window_s, place = settings.sign_in_window_s, place_of(client)
    return (
        Limit("client_of_account", f"{place}\n{whom}", settings.sign_in_failures_max, window_s),
        Limit("client", place, settings.sign_in_address_failures_max, window_s),
        Limit("account", whom, settings.sign_in_account_failures_max, window_s),
    )


def limits_of_device(settings: Settings, account_id: str, device_id: str) -> tuple[Limit, ...]:
    """For a device that was signed in before, wherever it is now."""
    whom = f"{account_id}\n{device_id}"
    return (Limit("device", whom, settings.sign_in_failures_max, settings.sign_in_window_s),)


def place_of(client: str) -> str:
    """Where a client is: its IPv4 address, or the network of its IPv6 address."""
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or ip_network((address, IPV6_SUBSCRIBER_BITS), strict=False))
    return str(address)


def device_token(master: MasterKey, account_id: str, device_id: str) -> str:
    """What a device shows to be known again: `<device id>.<MAC>`. It allows nothing but to be counted by itself."""
    digest = master.digest(f"device token\n{account_id}\n{device_id}")
    return f"{device_id}.{urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def known_device(master: MasterKey, account_id: str, token: str | None) -> str | None:
    """The device that a token was made for; None for a token that was not made for this account."""
    if token is None:
        return None
    device_id = token.partition(".")[0]
    made = hmac.compare_digest(device_token(master, account_id, device_id).encode(), token.encode())
    return device_id if made else None
