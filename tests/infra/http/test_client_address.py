"""Where a request comes from, whoever says so."""

from typing import Any

import pytest

from events.envelope import UNKNOWN_ADDRESS
from infra.http.client_address import Proxies

PROXIES = ("10.0.0.0/8", "fd00::/8")


def scope(peer: str | None, *forwarded: str, proto: str | None = None, scheme: str = "http") -> dict[str, Any]:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    headers += [(b"x-forwarded-proto", proto.encode())] if proto else []
    return {"client": (peer, 1234) if peer else None, "headers": headers, "scheme": scheme}


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", (), "203.0.113.9"),
        ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),  # not a proxy of ours: nothing it says is believed
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("1.2.3.4, 198.51.100.1",), "198.51.100.1"),  # the left was written by the client
        ("10.0.0.1", ("1.2.3.4", "198.51.100.1, 10.0.0.7"), "198.51.100.1"),
        ("10.0.0.1", ("10.0.0.7",), "10.0.0.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1, not an address",), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1:4711",), "198.51.100.1"),
        ("10.0.0.1", ("[2001:DB8::1]:4711",), "2001:db8::1"),
        ("fd00::1", ("::ffff:198.51.100.1",), "198.51.100.1"),
        ("::ffff:10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        (None, ("198.51.100.1",), UNKNOWN_ADDRESS),
        ("/run/playhead.sock", (), UNKNOWN_ADDRESS),
    ],
)
def test_the_nearest_address_that_is_no_proxy_of_ours(
    peer: str | None, forwarded: tuple[str, ...], client: str
) -> None:
    assert Proxies(PROXIES).client(scope(peer, *forwarded)) == client


def test_nobody_is_believed_by_default() -> None:
    assert Proxies(()).client(scope("127.0.0.1", "198.51.100.1")) == "127.0.0.1"


@pytest.mark.parametrize(
    ("peer", "proto", "scheme", "tls"),
    [
        ("203.0.113.9", "https", "http", False),
        ("10.0.0.1", "https", "http", True),
        ("10.0.0.1", "https, http", "http", False),
        ("203.0.113.9", None, "https", True),
    ],
)
def test_tls_is_what_we_speak_or_a_proxy_of_ours_says(peer: str, proto: str | None, scheme: str, tls: bool) -> None:
    assert Proxies(PROXIES).is_tls(scope(peer, proto=proto, scheme=scheme)) is tls
