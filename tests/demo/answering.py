"""An API for the demo's people that answers as a test says."""

from collections.abc import Callable

from aiohttp import web


class Busy:
    """Gives these answers in turn, and the last of them for ever; remembers what it was sent."""

    def __init__(self, *answers: Callable[[], web.Response]) -> None:
        self.answers = list(answers)
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        try:
            return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])()
        except ConnectionAbortedError:
            assert request.transport is not None
            request.transport.close()
            raise
