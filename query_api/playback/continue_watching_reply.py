"""The reply of continue watching: a profile's rows as far as its viewer may play them now, what comes next of those
that are finished, and whether Redis has all of them.

It is built by msgspec from what Redis holds, and made again only when it would be another (continue_watching_kept.py).
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
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
    if kept is not None and now_s < kept.until_s and kept.read == read:
        return kept.whole
    before = {} if kept is None else kept.shown_now(read.around, now_s)
    making = _Making(sources, asked, read.around, Holdings(read.around.held, now), before)
    rows = await making.rows(read.values)
    whole = Whole(HEADERS, BODY % (b",".join(rows), b"true" if read.complete else b"false"))
    if making.is_certain and sources.title_facts.version == read.around.titles:
        until_s = making.until_s if kept is None or not before else min(making.until_s, kept.until_s)
        sources.continue_watching.keep(asked, Kept.of(read, until_s, making.shown, whole))
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
    """One reply as it is made. `until_s`: until when it would be made the same way; `is_certain`: everything that it
    depends on could be told; `shown`: see Kept.
    """

    def __init__(
        self, sources: Sources, asked: Asked, around: Around, holdings: Holdings, before: Mapping[bytes, bytes]
    ) -> None:
        self._sources = sources
        self._asked = asked
        self._withdrawn = around.withdrawn
        self._holdings = holdings
        self._before = before
        self.until_s = inf if asked.viewer is None else holdings.until_s
        self.is_certain = True
        self.shown: dict[bytes, bytes] = {}

    async def rows(self, values: list[bytes]) -> list[bytes]:
        """As many as were asked for; where some are left out, from further back."""
        stored, found = iter(newest_first(values)), list[bytes]()
        while len(found) < self._asked.limit and (more := list(islice(stored, self._asked.limit - len(found)))):
            await self._show(more)
            found += [shown for each in more if (shown := self.shown[each])]
        return found

    async def _show(self, stored: Sequence[bytes]) -> None:
        """Find out how some rows are shown."""
        judged: dict[bytes, Row] = {}
        for each in stored:
            shown = self.shown[each] = self._before.get(each, b"")
            if not shown and each not in self._before and (row := resumable(each, self._withdrawn)) is not None:
                judged[each] = row
        if judged:
            await self._judge(judged.values())
        for each, row in judged.items():
            if row.unplayable is None or (self._asked.with_unplayable and row.offered not in self._withdrawn):
                self.shown[each] = _encode(row)

    async def _judge(self, rows: Collection[Row]) -> None:
        """Say of rows whether what they offer can be played, and what comes next."""
        facts = await self._facts([row.offered for row in rows])
        for row in rows:
            title = facts.get(row.offered)
            row.unplayable = self._why(row.offered, title)
            row.name_next(title)
        finished = [row for row in rows if row.unplayable is not None and row.state != IN_PROGRESS]
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
        viewer, holdings = self._asked.viewer, self._holdings
        if viewer is None:
            return None
        if title is not None:
            self.until_s = min(self.until_s, changes_at_s(title, holdings.now_s))
        return unplayable(title_id, title, viewer, holdings, subscription_required=self._sources.subscription_required)

    async def _facts(self, title_ids: Collection[str]) -> Facts:
        viewer = self._asked.viewer
        facts = await self._sources.title_facts.of(title_ids, viewer.territory if viewer else None)
        self.is_certain = self.is_certain and all(each in facts for each in title_ids)
        return facts
