"""What a route declares when it does not ask for a scope: that anybody may call it, or what else its caller shows.

A route that is not FastAPI's own carries its declaration itself, as a Declared one.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Public:
    """What a route declares that anybody may call. `why`: so that nobody has to guess whether it was forgotten."""

    def __init__(self, why: str) -> None:
        self.why = why

    async def __call__(self) -> None:
        """Everybody may."""


class Bearing:
    """What a route declares whose caller shows something else than an access token; its endpoint verifies that."""

    def __init__(self, what: str) -> None:
        self.what = what

    async def __call__(self) -> None:
        """The endpoint looks."""


class Declared(Route):
    """A plain route, and who may call it."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        *,
        access: Public | Bearing,
        methods: list[str] | None = None,
    ) -> None:
        super().__init__(path, endpoint, methods=methods, include_in_schema=False)
        self.access = access
