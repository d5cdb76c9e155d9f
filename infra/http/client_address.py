"""Where a request comes from: the peer of its connection, or what a trusted proxy in front of us says of it.

X-Forwarded-For is believed only from the networks in settings.trusted_proxies, and then from its right end: the first
address that is not one of them. What stands further left was written by whoever sent it.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.types import Scope

from events.envelope import UNKNOWN_ADDRESS

Network = IPv4Network | IPv6Network
KEY: Final = "playhead.client_address"
"""Where a request's scope keeps it, once the perimeter has found it out."""
FORWARDED_FOR: Final = b"x-forwarded-for"
FORWARDED_PROTO: Final = b"x-forwarded-proto"


class Proxies:
    """The networks whose word is taken."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ip_network(each) for each in networks]

    def client(self, scope: Scope) -> str:
        """The client's address, or UNKNOWN_ADDRESS."""
        peer = peer_of(scope)
        if not self._networks or not self.trust(peer):
            return peer
        return self._nearest(_values(scope, FORWARDED_FOR)) or peer

    def is_tls(self, scope: Scope) -> bool:
        """Whether the client spoke TLS, to us or to the proxy that we trust."""
        if scope["scheme"] == "https" or not self._networks:
            return bool(scope["scheme"] == "https")
        return self.trust(peer_of(scope)) and _values(scope, FORWARDED_PROTO)[-1:] == ["https"]

    def trust(self, address: str) -> bool:
        """Whether an address is a trusted proxy's."""
        return bool(self._networks) and is_within(address, self._networks)

    def _nearest(self, chain: list[str]) -> str | None:
        for said in reversed(chain):
            address = normal(said)
            if address is None:
                return None  # who could write this could write anything
            if not self.trust(address):
                return address
        return None


def peer_of(scope: Scope) -> str:
    """The other end of the connection, or UNKNOWN_ADDRESS."""
    client = scope.get("client")
    return (normal(client[0]) if client else None) or UNKNOWN_ADDRESS


@lru_cache(maxsize=4096)
def normal(said: str) -> str | None:
    """An address as it is written everywhere, without a port; None: it is none."""
    bare = said.strip().removeprefix("[").partition("]")[0]
    if bare.count(":") == 1:  # IPv4 with a port
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address is in one of the networks; UNKNOWN_ADDRESS is in none."""
    if address == UNKNOWN_ADDRESS:
        return False
    parsed = ip_address(address)
    return any(parsed in network for network in networks)


def client_address(scope: Scope) -> str:
    """Where a request comes from: an IP address, or UNKNOWN_ADDRESS."""
    known: str | None = scope.get(KEY)
    return peer_of(scope) if known is None else known


def _values(scope: Scope, name: bytes) -> list[str]:
    lines = [value.decode("latin-1") for given, value in scope["headers"] if given == name]
    return [each.strip() for each in ",".join(lines).split(",") if each.strip()]
