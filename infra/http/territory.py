"""In which territory a viewer is: what a trusted proxy says in a header, else what the installation takes for granted.
Never what a player says.
"""

from typing import Final

from starlette.types import Scope

from events.territories import TERRITORIES
from infra.http.client_address import Proxies, peer_of
from infra.settings import Settings


class Territories:
    """Tells territories (ISO 3166-1 alpha-2). A proxy that cannot tell (XX of Cloudflare's, T1 for Tor), or says more
    than one, has said nothing: it may have added to what the client sent.
    """

    def __init__(self, settings: Settings) -> None:
        self._proxies: Final = Proxies(settings.trusted_proxies)
        self._header: Final = settings.territory_header.lower().encode() if settings.territory_header else None
        self._default: Final = settings.default_territory

    def of(self, scope: Scope) -> str | None:
        """Where a request's viewer is; None: nobody can tell."""
        return self._said(scope) or self._default

    def _said(self, scope: Scope) -> str | None:
        if self._header is None or not self._proxies.trust(peer_of(scope)):
            return None
        values = [value.decode("latin-1").strip().upper() for name, value in scope["headers"] if name == self._header]
        return values[0] if len(values) == 1 and values[0] in TERRITORIES else None
