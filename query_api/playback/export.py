"""All that is kept of what a profile watched, or all of an account's, as JSON Lines, for the person whose it is:
sessions (Postgres), watch history (Cassandra) and continue watching (Redis), page by page, so that no export is held
in memory.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Annotated, Final

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from infra.access.permissions import Principal, Scope
from infra.clock import utc_now
from infra.http.openapi import replies
from infra.personal_data import MasterKey
from infra.positions import Position
from infra.settings import Settings
from query_api.access import EVERY_ACCOUNT_VIEW, NotYourAccount, own_account
from query_api.dependencies import EVERY_PROFILE_VIEW, From, Master, OwnProfile, Positions, Watcher
from query_api.identity import TOPIC as IDENTITY
from query_api.playback import TOPIC
from query_api.playback.sessions import with_device_names
from query_api.playback.watch_history import history_of, kept_months
from query_api.sources import Sources
from query_api.tables.streaming import Pieces, in_time
from query_api.tables.writing import JsonLines

MEDIA_TYPE: Final = "application/x-ndjson"
KINDS: Final = ("continue_watching", "session", "watched")
SESSIONS: Final = """
    select to_jsonb(p) - 'folded' as session, p.title_id, p.session_id, p.account_id, k.wrapped
    from playback_sessions as p left join person_key as k on k.person_id = p.account_id
    where p.profile_id = $1 and (p.title_id, p.session_id) > ($2, $3)
    order by p.title_id, p.session_id limit $4
"""
PROFILES: Final = """
    select profile_id from (
        select profile_id from identity_profiles where account_id = $1
        union select profile_id from profile_screen_time_by_hour where account_id = $1  -- of those that were deleted
    ) as profiles where profile_id > $2 order by profile_id limit $3
"""
EXAMPLE: Final = {"kind": "session", "session": {"session_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d"}}
OF_ACCOUNT_EXAMPLE: Final = {"kind": "profile", "profile": {"profile_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3e"}}


class Export(StreamingResponse):
    """A JSON document a line, sent as they come."""

    media_type = MEDIA_TYPE


OwnAccount = Annotated[str, Depends(own_account(Scope.WATCHING, Scope.PLAYBACK_READ))]
_encode: Final = msgspec.json.Encoder().encode

routes = APIRouter(tags=["playback"])


@routes.get(
    "/v1/profiles/{profile_id}/playback-export",
    response_class=Export,
    response_model=None,
    responses=replies(EXAMPLE, *EVERY_PROFILE_VIEW, media_type=MEDIA_TYPE),
)
async def read_export(
    profile_id: OwnProfile, caller: Watcher, request: Request, sources: From, master: Master, positions: Positions
) -> Pieces:
    """Everything that is kept of what this profile watched, a JSON document a line: `kind` is `continue_watching`,
    `session` or `watched`, and `end` on the last line, without which the export was cut off. What was hidden or taken
    out of the history is in it too, and says so.
    """
    await _reached(sources, positions)
    exporting = Exporting(sources, caller, request.app.state.settings, master)
    return _sent(request, exporting.of_profile(profile_id, await exporting.bookmarks(profile_id)))


@routes.get(
    "/v1/accounts/{account_id}/playback-export",
    response_class=Export,
    response_model=None,
    responses=replies(OF_ACCOUNT_EXAMPLE, *EVERY_ACCOUNT_VIEW, media_type=MEDIA_TYPE),
)
async def read_account_export(
    account_id: OwnAccount, caller: Watcher, request: Request, sources: From, master: Master, positions: Positions
) -> Pieces:
    """The same of all profiles of an account, deleted ones that watched included: what follows a line of the kind
    `profile` is that one's, until the next; `end` counts all. A profile with a maturity limit is refused it.
    """
    owner = _owner(caller, account_id)
    await sources.postgres_checkpoint.reached(IDENTITY, positions)
    await _reached(sources, positions)
    exporting = Exporting(sources, owner, request.app.state.settings, master)
    first = await exporting.profiles(account_id, "")
    return _sent(request, exporting.of_account(account_id, first))


def _owner(caller: Principal, account_id: str) -> Principal:
    """In whose name the account's rows are read: its own, whoever may ask for them, so that there are no others. Raises
    NotYourAccount.
    """
    if caller.account_id == account_id and caller.maturity_limit is not None:
        raise NotYourAccount("A profile with a maturity limit is not shown what the others of its account watched.")
    return Principal(subject=caller.subject, account_id=account_id)


async def _reached(sources: Sources, positions: Sequence[Position]) -> None:
    await sources.redis_checkpoint.reached(TOPIC, positions)
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    await sources.cassandra_checkpoint.reached(TOPIC, positions)
    for store in (sources.postgres, sources.cassandra, sources.redis):
        store.connected()  # or it is refused, while it still can be


def _sent(request: Request, lines: AsyncIterator[bytes]) -> Pieces:
    settings: Settings = request.app.state.settings
    bounded = in_time(request, lines, timeout_s=settings.request_timeout_s, cut=JsonLines().cut)
    return Pieces(bounded, media_type=MEDIA_TYPE)


class Exporting:
    """Reads for an export, in pages."""

    def __init__(self, sources: Sources, caller: Principal, settings: Settings, master: MasterKey) -> None:
        self._sources = sources
        self._master = master
        self._caller = caller
        self._page_rows = settings.export_page_rows
        self._months = kept_months(utc_now(), settings)
        self._counts = dict.fromkeys(KINDS, 0)

    async def of_profile(self, profile_id: str, bookmarks: Iterable[bytes]) -> AsyncIterator[bytes]:
        """The lines, many at a time."""
        async for lines in self._lines_of(profile_id, bookmarks):
            yield lines
        yield self._end()

    async def of_account(self, account_id: str, profile_ids: list[str]) -> AsyncIterator[bytes]:
        """The lines of all profiles, of which some are known."""
        self._counts = {"profile": 0, **self._counts}
        while profile_ids:
            for profile_id in profile_ids:
                yield self._lines("profile", [{"profile_id": profile_id}])
                async for lines in self._lines_of(profile_id, await self.bookmarks(profile_id)):
                    yield lines
            last = profile_ids[-1] if len(profile_ids) == self._page_rows else None
            profile_ids = [] if last is None else await self.profiles(account_id, last)
        yield self._end()

    async def bookmarks(self, profile_id: str) -> list[bytes]:
        """The rows of continue watching. Raises StoreUnavailable."""
        store = self._sources.redis
        try:
            return await store.connected().values(f"continue_watching:{{{profile_id}}}")
        except store.failures as error:
            raise store.failed(error) from error

    async def profiles(self, account_id: str, after: str) -> list[str]:
        """The profiles of an account after one of them, at most a page. Raises StoreUnavailable."""
        async with self._sources.postgres_as(self._caller) as connection:
            rows = await connection.fetch(PROFILES, account_id, after, self._page_rows)
        return [row["profile_id"] for row in rows]

    async def _lines_of(self, profile_id: str, bookmarks: Iterable[bytes]) -> AsyncIterator[bytes]:
        yield self._lines("continue_watching", [msgspec.Raw(value.split(b":", 2)[2]) for value in bookmarks])
        async for page in self._sessions(profile_id):
            yield self._lines("session", page)
        for month in self._months:
            async with self._sources.cassandra.use() as cql:
                watched = await history_of(cql, profile_id, month, self._page_rows)
            yield self._lines("watched", watched)

    async def _sessions(self, profile_id: str) -> AsyncIterator[list[Mapping[str, object]]]:
        place: tuple[str, str] | None = ("", "")
        while place is not None:
            async with self._sources.postgres_as(self._caller) as connection:
                rows = await connection.fetch(SESSIONS, profile_id, *place, self._page_rows)
            yield [self._session(row) for row in rows]
            place = (rows[-1]["title_id"], rows[-1]["session_id"]) if len(rows) == self._page_rows else None

    def _session(self, row: asyncpg.Record) -> Mapping[str, object]:
        session: dict[str, object] = msgspec.json.decode(row["session"])
        return with_device_names(session, self._master.unwrap(row["wrapped"], row["account_id"]))

    def _lines(self, kind: str, documents: Sequence[msgspec.Raw | Mapping[str, object]]) -> bytes:
        self._counts[kind] += len(documents)
        return b"".join(_encode({"kind": kind, kind: document}) + b"\n" for document in documents)

    def _end(self) -> bytes:
        return _encode({"kind": "end", **self._counts}) + b"\n"
