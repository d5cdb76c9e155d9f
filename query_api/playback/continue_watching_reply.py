"""The reply of continue watching: a profile's rows as far as its viewer may play them now, what comes next of those
that are finished, and whether Redis has all of them.

It is built by msgspec from what Redis holds, and made again only when it would be another (continue_watching_kept.py).
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Final, TypeAlias

import msgspec

from infra.clock import utc_now
from infra.http.cors import RawHeaders
from infra.http.representations import Whole
from query_api.playback.continue_watching_kept import Around, Asked, Kept, Read
from query_api.playback.continue_watching_rows import IN_PROGRESS, Row, newest_first, resumable
from query_api.playback.playable import Holdings, TitleFacts, Unplayable, changes_at_s, unplayable
from query_api.sources import Sources

Facts: TypeAlias = Mapping[str, TitleFacts | None]
ROWS: Final = "continue_watching:{{{}}}"
HELD: Final = "account_holdings:{{{}}}"
HEADERS: Final[RawHeaders] = [(b"content-type", b"application/json")]
BODY: Final = b'{"items":[%b],"complete":%b}'

_encode = msgspec.json.Encoder().encode


async def continue_watching_reply(sources: Sources, asked: Asked) -> Whole:
    """The reply. Raises StoreUnavailable."""
    await sources.title_facts.look()
    read = await _read(sources, asked)
    now = utc_now()
    now_s = now.timestamp()
    kept = sources.continue_watching.find(asked)
    if kept is not None and not kept.is_around(read.around, now_s):
        kept = None
    if kept is not None and kept.read == read:
        return kept.whole
    making = _Making(sources, asked, read.around, now, kept)
    rows = await making.rows(read.values)
    whole = Whole(HEADERS, BODY % (b",".join(rows), b"true" if read.complete else b"false"))
    if making.is_certain and sources.title_facts.version == read.around.titles:
        sources.continue_watching.keep(asked, Kept.of(read, making.holdings, making.until_s, making.shown, whole))
    return whole


async def _read(sources: Sources, asked: Asked) -> Read:
    """What the reply is made of: one round trip, but for what is asked once for many. Raises StoreUnavailable."""
    store, viewer = sources.redis, asked.viewer
    keys = [ROWS.format(asked.profile_id)]
    if viewer is not None:
        keys.append(HELD.format(viewer.account_id))
    titles = sources.title_facts.version
    try:
        if (complete := sources.refill.known()) is None:
            complete = await sources.refill.now()
        values, held, withdrawn = await _rows(sources, keys)
        if complete and not values:  # Redis may have been emptied since that was known
            complete = await sources.refill.read()
            values, held, withdrawn = await _rows(sources, keys)
    except store.failures as error:
        raise store.failed(error) from error
    return Read(values, Around(held, withdrawn, titles), complete)


async def _rows(sources: Sources, keys: Sequence[str]) -> tuple[list[bytes], list[bytes], frozenset[str]]:
    """The values of the first key, and of the second if there is one; and what was withdrawn."""
    reading = sources.redis.connected().values_of(*keys)
    if (withdrawn := sources.withdrawn.known()) is not None:
        values, *held = await reading
    else:
        (values, *held), withdrawn = await asyncio.gather(reading, sources.withdrawn.now())
    return values, held[0] if held else [], withdrawn


class _Making:
    """One reply as it is made, with what is still right in one that was kept. `until_s`: until when it would be made
    the same way; `is_certain`: everything that it depends on could be told; `shown`: see Kept.
    """

    def __init__(self, sources: Sources, asked: Asked, around: Around, now: datetime, kept: Kept | None) -> None:
        self._sources = sources
        self._asked = asked
        self._withdrawn = around.withdrawn
        self._now_s = now.timestamp()
        self._before: Mapping[bytes, bytes] = {} if kept is None else kept.shown
        self.holdings = Holdings(around.held, now) if kept is None else kept.holdings
        self.until_s = kept.until_s if kept is not None else inf if asked.viewer is None else self.holdings.until_s
        self.is_certain = True
        self.shown: dict[bytes, bytes] = {}

    async def rows(self, values: list[bytes]) -> list[bytes]:
        """As many as were asked for; where some are left out, from further back."""
        stored, limit, found, place = newest_first(values), self._asked.limit, list[bytes](), 0
        while len(found) < limit and place < len(stored):
            more = stored[place : place + limit - len(found)]
            place += len(more)
            await self._show(more)
            found += [shown for each in more if (shown := self.shown[each])]
        return found

    async def _show(self, stored: Sequence[bytes]) -> None:
        """Find out how some rows are shown."""
        judged: dict[bytes, Row] = {}
        for each in stored:
            known = self._before.get(each)
            if known is None and (row := resumable(each, self._withdrawn)) is not None:
                judged[each] = row
            self.shown[each] = known or b""
        if judged:
            await self._judge(judged.values())
        for each, row in judged.items():
            if row.unplayable is None or (self._asked.with_unplayable and row.offered not in self._withdrawn):
                self.shown[each] = _encode(row)

    async def _judge(self, rows: Collection[Row]) -> None:
        """Say of rows whether what they offer can be played, and what comes next."""
        facts = await self._facts([row.offered for row in rows])
        finished = []
        for row in rows:
            title_id = row.offered
            title = facts.get(title_id)
            row.unplayable = self._why(title_id, title)
            if row.state != IN_PROGRESS:
                row.name_next(title)
                if row.unplayable is not None:
                    finished.append(row)
        if finished:
            await self._offer_later(finished)

    async def _offer_later(self, rows: list[Row]) -> None:
        """R6: where the next episode cannot be played, offer the first after it that can be."""
        title_ids = {row.offered for row in rows}
        following = await self._sources.title_facts.following(title_ids)
        self.is_certain = self.is_certain and len(following) == len(title_ids)
        facts = await self._facts({each for later in following.values() for each in later})
        for row in rows:
            for title_id in following.get(row.offered, ()):
                title = facts.get(title_id)
                if title is not None and self._why(title_id, title) is None:
                    row.next_title_id, row.unplayable = title_id, None
                    row.name_next(title)
                    break

    def _why(self, title_id: str, title: TitleFacts | None) -> Unplayable | None:
        if title_id in self._withdrawn:
            return "not_published"
        viewer = self._asked.viewer
        if viewer is None:
            return None
        if title is not None:
            self.until_s = min(self.until_s, changes_at_s(title, self._now_s))
        required = self._sources.subscription_required
        return unplayable(title_id, title, viewer, self.holdings, now_s=self._now_s, subscription_required=required)

    async def _facts(self, title_ids: Collection[str]) -> Facts:
        titles, viewer = self._sources.title_facts, self._asked.viewer
        territory = viewer.territory if viewer else None
        if (known := titles.known(title_ids, territory)) is not None:
            return known
        facts = await titles.of(title_ids, territory)
        self.is_certain = self.is_certain and all(each in facts for each in title_ids)
        return facts
