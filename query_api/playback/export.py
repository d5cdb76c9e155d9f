"""All that is kept of what a profile watched, as JSON Lines, for the person whose it is: sessions (Postgres), watch
history (Cassandra) and continue watching (Redis), page by page, so that no export is held in memory.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final

import msgspec
from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from infra.clock import utc_now
from infra.http.openapi import replies
from query_api.dependencies import EVERY_PROFILE_VIEW, From, OwnProfile, Positions, ReadSettings, Watcher
from query_api.playback import TOPIC
from query_api.playback.watch_history import history_of, kept_months
from query_api.sources import Sources

MEDIA_TYPE: Final = "application/x-ndjson"
SESSIONS: Final = """
    select to_jsonb(p) - 'folded' as session, p.title_id, p.session_id from playback_sessions as p
    where p.profile_id = $1 and (p.title_id, p.session_id) > ($2, $3)
    order by p.title_id, p.session_id limit $4
"""
EXAMPLE: Final = {"kind": "session", "session": {"session_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d"}}


class JsonLines(StreamingResponse):
    """A JSON document a line, sent as they come."""

    media_type = MEDIA_TYPE


_encode = msgspec.json.Encoder().encode

routes = APIRouter(tags=["playback"])


@routes.get(
    "/v1/profiles/{profile_id}/playback-export",
    response_class=JsonLines,
    response_model=None,
    responses=replies(EXAMPLE, *EVERY_PROFILE_VIEW, media_type=MEDIA_TYPE),
)
async def read_export(
    profile_id: OwnProfile, caller: Watcher, sources: From, settings: ReadSettings, positions: Positions
) -> JsonLines:
    """Everything that is kept of what this profile watched, a JSON document a line: `kind` is `continue_watching`,
    `session` or `watched`, and `end` on the last line, without which the export was cut off. What was hidden or taken
    out of the history is in it too, and says so.
    """
    await sources.redis_checkpoint.reached(TOPIC, positions)
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    await sources.cassandra_checkpoint.reached(TOPIC, positions)
    bookmarks = await _bookmarks(sources, profile_id)
    for store in (sources.postgres, sources.cassandra):
        store.connected()  # or it is refused, while it still can be
    export = Export(sources, caller, profile_id, page_rows=settings.export_page_rows)
    months = kept_months(utc_now(), settings)
    return JsonLines(export.lines(bookmarks, months))


async def _bookmarks(sources: Sources, profile_id: str) -> list[bytes]:
    store = sources.redis
    try:
        return await store.connected().values(f"continue_watching:{{{profile_id}}}")
    except store.failures as error:
        raise store.failed(error) from error


class Export:
    """One profile's, in pages."""

    def __init__(self, sources: Sources, caller: Watcher, profile_id: str, *, page_rows: int) -> None:
        self._sources = sources
        self._caller = caller
        self._profile_id = profile_id
        self._page_rows = page_rows

    async def lines(self, bookmarks: Iterable[bytes], months: Iterable[str]) -> AsyncIterator[bytes]:
        """The lines, many at a time."""
        counts = dict.fromkeys(("continue_watching", "session", "watched"), 0)
        rows = [msgspec.Raw(value.split(b":", 2)[2]) for value in bookmarks]
        counts["continue_watching"] = len(rows)
        yield _lines("continue_watching", rows)
        async for page in self._sessions():
            counts["session"] += len(page)
            yield _lines("session", page)
        for month in months:
            async with self._sources.cassandra.use() as cql:
                watched = await history_of(cql, self._profile_id, month, self._page_rows)
            counts["watched"] += len(watched)
            yield _lines("watched", watched)
        yield _encode({"kind": "end", **counts}) + b"\n"

    async def _sessions(self) -> AsyncIterator[list[msgspec.Raw]]:
        place: tuple[str, str] | None = ("", "")
        while place is not None:
            async with self._sources.postgres_as(self._caller) as connection:
                rows = await connection.fetch(SESSIONS, self._profile_id, *place, self._page_rows)
            yield [msgspec.Raw(row["session"].encode()) for row in rows]
            place = (rows[-1]["title_id"], rows[-1]["session_id"]) if len(rows) == self._page_rows else None


def _lines(kind: str, documents: Iterable[msgspec.Raw | Mapping[str, object]]) -> bytes:
    return b"".join(_encode({"kind": kind, kind: document}) + b"\n" for document in documents)
