"""In which territory a viewer is: what a trusted proxy says, else what the installation takes for granted."""

from typing import Any

import pytest
from pydantic import ValidationError

from infra.http.territory import Territories
from infra.settings import Settings

PROXY = "10.0.0.1"
BEHIND: dict[str, Any] = {"trusted_proxies": ("10.0.0.0/8",), "territory_header": "CF-IPCountry"}


def request(peer: str, *said: str) -> dict[str, Any]:
    return {"client": (peer, 1234), "headers": [(b"cf-ipcountry", each.encode()) for each in said]}


@pytest.mark.parametrize(
    ("peer", "said", "territory"),
    [
        (PROXY, ("KR",), "KR"),
        (PROXY, ("kr",), "KR"),
        ("203.0.113.9", ("KR",), None),  # not a proxy of ours: nothing it says is believed
        (PROXY, (), None),
        (PROXY, ("XX",), None),  # Cloudflare's: it cannot tell
        (PROXY, ("T1",), None),  # Tor
        (PROXY, ("UK",), None),
        (PROXY, ("",), None),
        (PROXY, ("NL", "KR"), None),  # one of them is from the client
        (PROXY, ("NL, KR",), None),
    ],
)
def test_a_trusted_proxy_says_one_territory_or_none(peer: str, said: tuple[str, ...], territory: str | None) -> None:
    assert Territories(Settings(**BEHIND)).of(request(peer, *said)) == territory
    fallen_back = Territories(Settings(**BEHIND, default_territory="DE")).of(request(peer, *said))
    assert fallen_back == (territory or "DE")


def test_without_a_header_everybody_is_in_the_default_territory_or_nowhere() -> None:
    assert Territories(Settings(default_territory="NL")).of(request(PROXY, "KR")) == "NL"
    assert Territories(Settings()).of(request(PROXY, "KR")) is None


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"default_territory": "UK"}, "ISO 3166-1"),
        ({"default_territory": "kr"}, "ISO 3166-1"),
        ({"territory_header": "CF-IPCountry"}, "trusted_proxies"),
        ({"territory_header": "no header"}, "territory_header"),
    ],
)
def test_settings_that_cannot_tell_a_territory_are_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Settings(**given)
