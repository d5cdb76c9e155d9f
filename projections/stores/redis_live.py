"""What Redis says of its views: which version of each is live, who was seen that has its fold, and whether workers are
to hold still for a moment (ADR 21).
"""

from collections.abc import Mapping
from typing import Any, Final

from infra import live_views
from infra.live_views import CHANGES, IN_REDIS, Keeper, LiveView, encoded
from infra.redis import Redis
from projections.errors import StoreUnavailable
from projections.stores.scripts import Script
from projections.versions.following import Live

HOLD: Final = f"{IN_REDIS}:hold"
"""While it is there, the projection's checkpoints do not move. It goes by itself."""
SEEN: Final = f"{IN_REDIS}:seen"
"""A hash: "view@version:current" or ":outdated" -> when a worker said that it has that version's fold, or another, in
ms of Redis's clock.
"""
HELD: Final = -1
CHANGED: Final = -2
"""What move_checkpoints.lua says, beside 1 and 0."""
HELD_PAUSE_S: Final = 0.005

_register = Script("register_views")


def parsed(fields: Mapping[bytes, bytes]) -> tuple[Live, bytes]:
    """What is live, and how often that changed. Raises StoreUnavailable for a hash that somebody else wrote."""
    try:
        return live_views.decoded(fields), fields.get(CHANGES.encode(), b"")
    except ValueError as error:
        raise StoreUnavailable(f"{IN_REDIS} holds what is no version of a view: {error}") from error


async def read(client: Redis) -> tuple[Live, bytes]:
    """What is live now; see parsed()."""
    fields: Any = await client.hgetall(IN_REDIS)
    return parsed(fields)


async def register(client: Redis, checkpoints: str, folds: Mapping[str, int]) -> None:
    """Have the first version of each view live that no other is of. Where nothing was folded yet its rows are of the
    fold that is here; what was before there was a register is of the first.
    """
    if folds:
        given: list[str | bytes] = []
        for view, fold in folds.items():
            empty, filled = (LiveView(live_views.FIRST, Keeper.PROJECTION, each) for each in (fold, 1))
            given += [view, encoded(empty), encoded(filled)]
        await client.eval(_register.source, 2, checkpoints, IN_REDIS, *given)


async def say(client: Redis, live: Live, has_fold: Mapping[str, bool]) -> None:
    """Note of views that a rebuild keeps whether a worker is here that has their folds, or one that has others."""
    if has_fold:
        now_ms = await now_of(client)
        seen = {field_of(view, live[view].version, current=is_ours): now_ms for view, is_ours in has_fold.items()}
        await client.hset(SEEN, mapping=seen)  # type: ignore[arg-type]  # the stubs want all that a field may be


def field_of(view: str, version: int, *, current: bool) -> str:
    """The field of SEEN."""
    return f"{view}@{version}:{'current' if current else 'outdated'}"


async def now_of(client: Redis) -> int:
    """Redis's clock, in ms."""
    now: Any = await client.time()
    return int(now[0]) * 1000 + int(now[1]) // 1000
