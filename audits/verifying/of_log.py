"""Verifies a partition of the event log: its chain, its end, what checkpoints say of it, its streams' versions."""

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Final

from msgspec import structs

from audits.verifying import reading
from audits.verifying.chain import Chain, Link, Row
from audits.verifying.checkpoints import Checkpoint, path_of
from audits.verifying.findings import Finding, Kind, Store
from audits.verifying.tasks import State, Update
from infra.event_log import GENESIS
from infra.postgres import Pool
from infra.settings import Settings

VERSIONS: Final = """
select position, event_id::text, stream_id, version, before from (
    select position, event_id, stream_id, version,
           lag(version, 1, 0) over (partition by stream_id order by position) as before
    from event_log where partition = $1 and position <= $2
) of_streams where version <> before + 1 order by position limit $3
"""
REPEATED: Final = """
select event_id::text, min(partition) as partition, min(position) as position, count(*) as times from event_log
group by event_id having count(*) > 1 limit $1
"""


class LogCheck:
    """The check of one partition."""

    def __init__(self, pool: Pool, settings: Settings, partition: int, checkpoints: Sequence[Checkpoint]) -> None:
        self._pool = pool
        self._batch = settings.verify_batch_rows
        self._most = settings.verify_findings_max
        self._partition = partition
        self._signed = _heads(checkpoints, partition)
        self._finding = partial(Finding, store=Store.LOG, partition=partition)

    async def run(self, task: str, state: State | None) -> AsyncIterator[Update]:
        """All of it, or from where another run was. Raises what asyncpg raises."""
        end = await reading.head(self._pool, self._partition)
        until, head_hash, last = (end["position"], end["hash"], end["last"] or 0) if end else (0, GENESIS, 0)
        chain, told = Chain(self._partition, _link(state)), set[int]()
        if state and not await self._stands(chain.link):
            chain = Chain(self._partition, _link(None))
        async for found, link in self._chained(chain, until):
            for each in found:
                told.update(range(each.position or 0, (each.last or each.position or 0) + 2))
            yield Update(task=task, done=link.position, findings=found, state=_state(link))
        ended = list(self._ended(chain.link, until, head_hash, last))
        yield Update(task=task, done=until, findings=[*ended, *await self._rewritten(last)])
        yield Update(task=task, done=until, findings=await self._versions(until, told), ended=True)

    async def _chained(self, chain: Chain, until: int) -> AsyncIterator[tuple[list[Finding], Link]]:
        rest, after = list[Row](), chain.link.position
        while True:
            page = await reading.rows(self._pool, self._partition, after, until, self._batch)
            found, rest = chain.examine([*map(Row._make, rest), *page] if rest else page, last=len(page) < self._batch)
            yield found, chain.link
            if len(page) < self._batch:
                return
            after = page[-1][0]

    async def _stands(self, link: Link) -> bool:
        """Whether the row that another run ended at is still the one that it saw."""
        held = await self._pool.fetchval(
            "select hash from event_log where partition = $1 and position = $2", self._partition, link.position
        )
        return bool(held == link.hash)

    def _ended(self, link: Link, until: int, head_hash: bytes, last: int) -> list[Finding]:
        if link.position < until:
            told = f"the head is at {until}"
            first = link.position + 1
            cut = self._finding(kind=Kind.TRUNCATED, what="events", position=first, last=until, expected=told)
            return [structs.replace(cut, found="no rows")]
        if last > until:
            told = f"the head is at {until}"
            what = "events after the head"
            return [self._finding(kind=Kind.INSERTED, what=what, position=until + 1, last=last, expected=told)]
        if link.hash is not None and link.hash != head_hash:
            expected, found = link.hash.hex(), head_hash.hex()
            return [self._finding(kind=Kind.FLIPPED, what="head", position=until, expected=expected, found=found)]
        return []

    async def _rewritten(self, last: int) -> list[Finding]:
        """The first place at which the log is not what a checkpoint signed."""
        held = await self._pool.fetch(
            "select position, hash from event_log where partition = $1 and position = any($2)",
            self._partition,
            list(self._signed),
        )
        hashes = {row["position"]: row["hash"].hex() for row in held}
        before = 0
        for position, (number, signed) in sorted(self._signed.items()):
            told = partial(self._finding, file=path_of(number), expected=signed)
            if position > last:
                cut = told(kind=Kind.TRUNCATED, what="events", position=last + 1, last=position, found="no rows")
                return [cut]
            if (found := hashes.get(position, signed)) != signed:
                what = f"events since checkpoint {number} was signed"
                return [told(kind=Kind.REWRITTEN, what=what, position=before + 1, last=position, found=found)]
            before = position
        return []

    async def _versions(self, until: int, told: set[int]) -> list[Finding]:
        """Versions that do not go on, but for those that something is said of already."""
        odd = await self._pool.fetch(VERSIONS, self._partition, until, self._most)
        return [
            Finding(
                kind=Kind.REMOVED if version > before + 1 else Kind.REPEATED,
                store=Store.LOG,
                what=f"version of stream {stream}",
                partition=self._partition,
                position=position,
                event_id=event_id,
                expected=str(before + 1),
                found=str(version),
            )
            for position, event_id, stream, version, before in odd
            if position not in told
        ]


async def repeated(pool: Pool, settings: Settings) -> list[Finding]:
    """Events whose id more than one has."""
    return [
        Finding(
            kind=Kind.REPEATED,
            store=Store.LOG,
            what="event id",
            partition=row["partition"],
            position=row["position"],
            event_id=row["event_id"],
            expected="1 event",
            found=f"{row['times']} events",
        )
        for row in await pool.fetch(REPEATED, settings.verify_findings_max)
    ]


def _heads(checkpoints: Sequence[Checkpoint], partition: int) -> Mapping[int, tuple[int, str]]:
    """What checkpoints say of a partition: by position, the number of the first that says it, and the hash."""
    heads: dict[int, tuple[int, str]] = {}
    for checkpoint in checkpoints:
        for head in checkpoint.heads:
            if head.partition == partition:
                heads.setdefault(head.position, (checkpoint.number, head.hash))
    return heads


def _link(state: State | None) -> Link:
    if not state:
        return Link(0, GENESIS)
    return Link(int(state["position"]), bytes.fromhex(str(state["hash"])), int(state["shift"]))


def _state(link: Link) -> State | None:
    """None where the row before is missing: nobody can go on from there."""
    if link.hash is None or not link.position:
        return None
    return {"position": link.position, "hash": link.hash.hex(), "shift": link.shift}
