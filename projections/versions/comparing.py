"""Comparing a version with the live one in a store that has no snapshots: row by row while both change, and what was
not the same once more, with both where the projection is (ADR 21).
"""

import asyncio
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec

from infra.postgres import Role, connect_pool
from infra.settings import Settings
from projections.versions import registry
from projections.versions.build import Build
from projections.versions.changes import RETRY_PAUSE_S, NotReached
from projections.versions.recorded import Home, Key, Pair
from projections.versions.registry import VersionRefused
from projections.versions.verify import Compared, Difference, report

DIGEST_BYTES: Final = 8
COLUMNS_MAX: Final = 1_000
"""More than any view has: a row that is not there differs in so many."""


class Tally:
    """Counts rows and adds up their digests, whatever their order; keeps the first that differ."""

    def __init__(self, samples_max: int) -> None:
        self._samples_max = samples_max
        self._rows = [0, 0]
        self._digests = [0, 0]
        self.samples: list[Difference] = []

    def add(self, pairs: Iterable[Pair]) -> None:
        """Take these as they are."""
        for pair in pairs:
            for side, row in enumerate((pair.live, pair.other)):
                if row is not None:
                    self._rows[side] += 1
                    self._digests[side] += _digest(pair.key, row)
            if pair.live != pair.other and len(self.samples) < self._samples_max:
                self.samples.append(_difference(pair))

    def compared(self, view: str) -> Compared:
        """What it came to."""
        live_digest, digest = (f"{each % 2 ** (8 * DIGEST_BYTES):0{2 * DIGEST_BYTES}x}" for each in self._digests)
        return Compared(view, self._rows[0], self._rows[1], live_digest, digest, self.samples)


async def verify(home: Home, build: Build, settings: Settings) -> list[Compared]:
    """Compare a version; the result is kept with it. Raises VersionRefused."""
    live = await home.live(build.group.name)
    if live.version == build.version.version:
        raise VersionRefused(f"version {live.version} of {build.group.name} is the live one")
    await _caught_up(build, settings)
    tally = Tally(settings.view_verify_samples)
    differing: list[Key] = []
    async for page in home.pages(build.group, live.version, build.version.version):
        again = [pair for pair in page if pair.live != pair.other]
        again = again[: max(settings.view_verify_again_max - len(differing), 0)]
        keys = {pair.key for pair in again}
        differing += keys
        tally.add(pair for pair in page if pair.key not in keys)
    tally.add(await _again(home, build, settings, live.version, differing))
    compared = [tally.compared(build.group.name)]
    await keep_report(settings, build, compared)
    return compared


async def keep_report(settings: Settings, build: Build, compared: list[Compared]) -> None:
    """Have the registry know what a comparison came to."""
    pool = await connect_pool(settings, role=Role.PROJECTIONS, size=1)
    try:
        await registry.note(pool, build.version, verified=msgspec.json.encode(report(compared)).decode())
    finally:
        await pool.close()


async def _again(home: Home, build: Build, settings: Settings, live: int, keys: Sequence[Key]) -> list[Pair]:
    """Rows that were not the same, read where they ought to be: what an event changed in between becomes the same in
    one of some tries. What differs stays so, and is told as it differed least.
    """
    nearest: dict[Key, Pair] = {}
    in_vain = 0
    for _ in range(settings.view_swap_max_tries):
        if not keys or in_vain >= settings.view_verify_again_tries:
            break
        before = sum(map(_distance, nearest.values())) if nearest else None
        for pair in await _in_step(home, build, settings, live, keys):
            nearest[pair.key] = min(nearest.get(pair.key, pair), pair, key=_distance)
        keys = [pair.key for pair in nearest.values() if pair.live != pair.other]
        in_vain = in_vain + 1 if before == sum(map(_distance, nearest.values())) else 0
        await asyncio.sleep(RETRY_PAUSE_S)
    return list(nearest.values())


def _distance(pair: Pair) -> int:
    """In how many columns the rows differ."""
    if pair.live == pair.other:
        return 0
    return len(_difference(pair).columns) or COLUMNS_MAX


async def _in_step(home: Home, build: Build, settings: Settings, live: int, keys: Sequence[Key]) -> list[Pair]:
    """Rows of both versions, with the same events in them but for those that are being written."""
    for _ in range(settings.view_swap_max_tries):
        await _caught_up(build, settings)
        try:
            async with home.still():
                if await build.reach(await build.limits(), settings.view_swap_locked_max_s):
                    size = settings.view_verify_page_rows
                    pieces = [keys[at : at + size] for at in range(0, len(keys), size)]
                    versions = (live, build.version.version)
                    return [pair for piece in pieces for pair in await home.pairs(build.group, *versions, piece)]
        except NotReached:
            pass
        await asyncio.sleep(RETRY_PAUSE_S)
    raise VersionRefused(f"version {build.version.version} of {build.group.name} does not catch up with the live one")


async def _caught_up(build: Build, settings: Settings) -> None:
    async for behind in build.steps():
        if behind <= settings.rebuild_ready_records:
            return


def _digest(key: Key, row: bytes) -> int:
    return int.from_bytes(
        blake2b(b"\x00".join([*(str(part).encode() for part in key), row]), digest_size=DIGEST_BYTES).digest()
    )


def _difference(pair: Pair) -> Difference:
    key = "/".join(map(str, pair.key))
    if pair.live is None or pair.other is None:
        return Difference(key, "version" if pair.live is None else "live", {})
    one, two = (msgspec.json.decode(each, type=dict[str, Any]) for each in (pair.live, pair.other))
    names = [name for name in {**one, **two} if one.get(name) != two.get(name)]
    return Difference(key, None, {name: (one.get(name), two.get(name)) for name in names})
