"""Publishes the demo's catalog through the commands API, and waits until the query API shows it."""

from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from typing import Any, Final

import msgspec

from playhead.demo.api import Api
from playhead.demo.people.register import Register
from playhead.demo.people.signing import SignIn
from playhead.demo.watching.films import FILMS, SEASONS, SERIES
from playhead.demo.watching.sitting import Title

CREATED: Final = 201
OK: Final = 200


class PublishingRefused(Exception):
    """The API refused to publish what the demo needs."""


class Catalog:
    """What was published: bodies by the id that the API gave. Publishing again under the same keys repeats nothing."""

    def __init__(self, commands: Api, editor: SignIn, register: Register) -> None:
        self.published: dict[str, Mapping[str, Any]] = {}
        self._commands = commands
        self._editor = editor
        self._register = register

    async def publish(self) -> list[Title]:
        """Publish all; what can be played. Raises PublishingRefused, NotTaken."""
        titles = [await self._movie(body) for body in FILMS]
        series_id = await self._post("/v1/catalog/series", SERIES)
        episodes = [episode async for episode in self._episodes(series_id)]
        following = [episode.title_id for episode in episodes[1:]]
        return titles + [
            _title(episode.title_id, self.published[episode.title_id], series_id, next_id)
            for episode, next_id in zip(episodes, [*following, None], strict=True)
        ]

    async def shown(self, query: Api) -> None:
        """Return when the query API shows what was published. Raises NotTaken."""
        await query.reached("/v1/catalog/titles?limit=1", self._editor, self._register.ledger.positions.values())

    async def _movie(self, body: Mapping[str, Any]) -> Title:
        return _title(await self._post("/v1/catalog/movies", body), body)

    async def _episodes(self, series_id: str) -> AsyncIterator[Title]:
        for season, bodies in SEASONS.items():
            name = {"season_number": season, "name": f"Season {season}"}
            await self._post(f"/v1/catalog/series/{series_id}/seasons", name, series_id)
            for number, body in enumerate(bodies, start=1):
                place = {"season_number": season, "episode_number": number}
                title_id = await self._post(f"/v1/catalog/series/{series_id}/episodes", {**body, **place}, series_id)
                yield _title(title_id, body, series_id)

    async def _post(self, path: str, body: Mapping[str, Any], series_id: str | None = None) -> str:
        """Publish one; its id. `series_id`: of what the stream of a series decides about. The key is made of the
        content, so that a changed demo publishes anew.
        """
        encoded = msgspec.json.encode(body)
        key = {"Idempotency-Key": f"demo-{sha256(path.encode() + encoded).hexdigest()[:32]}"}
        reply = await self._commands.post(path, self._editor, lambda: encoded, key)
        if reply.status not in (OK, CREATED):
            raise PublishingRefused(f"{path} answered {reply.status}: {reply.body.decode(errors='replace')}")
        self._register.done_by_staff(self._editor, reply, series_id)
        published_id = str(reply.json()["id"])
        if "season_number" not in body or "episode_number" in body:  # a season is part of its series, no title
            self.published[published_id] = body
        return published_id


def _title(
    title_id: str, body: Mapping[str, Any], series_id: str | None = None, next_title_id: str | None = None
) -> Title:
    return Title(
        title_id=title_id,
        name=body["name"],
        duration_ms=body["duration_ms"],
        credits_start_ms=body.get("credits_start_ms"),
        series_id=series_id,
        next_title_id=next_title_id,
    )
