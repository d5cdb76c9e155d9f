"""What `playhead keys` works with: the rings of an installation, and how long what a key signed may last."""

from datetime import datetime, timedelta
from typing import Any

from infra.access.keyring import MASTER, Keyring, RingKey
from infra.access.tokens import MINTED_TTL_MAX_S, Keys
from infra.clock import utc_now
from infra.personal_data import MasterKey
from infra.settings import Settings

Ring = Keyring[Any]  # of one kind or the other

ENDS = {
    "access": "access tokens signed by it; apps refresh theirs and go on",
    "internal": "refresh tokens, playback tokens and page cursors made with it: viewers sign in again",
}
"""What a key ends that is taken away too early. None for a master key: it is not taken away while it is needed."""


def signing_rings(chosen: Settings) -> tuple[Ring, ...]:
    """The rings of keys that sign."""
    keys = Keys(chosen)
    return keys.access_ring, keys.internal_ring


def rings(chosen: Settings) -> tuple[Ring, ...]:
    """All rings."""
    MasterKey.load(chosen)  # makes the key of the index, which comes before the ring
    return *signing_rings(chosen), Keyring(MASTER, chosen, beside=chosen.master_keys_path)


def find(chosen: Settings, kid: str) -> tuple[Ring, RingKey[Any]] | None:
    """The key of a kid, and its ring."""
    return next(((ring, key) for ring in rings(chosen) for key in ring.known() if key.kid == kid), None)


def runs_out_at(ring: Ring, key: RingKey[Any], chosen: Settings) -> datetime | None:
    """When all that a key signed has run out; None for the newest, which has no end yet."""
    newer = [each for each in ring.known() if each.made_at > key.made_at]
    if not newer:
        return None
    return signs_from(newer[-1], chosen) + timedelta(seconds=chosen.keys_reload_s) + longest_life(ring, chosen)


def signs_from(key: RingKey[Any], chosen: Settings) -> datetime:
    """When a new key begins to sign."""
    return key.made_at + timedelta(seconds=chosen.keys_announced_s)


def longest_life(ring: Ring, chosen: Settings) -> timedelta:
    """How long anything lasts that a key of this ring signed. Page cursors do not count: who has an old one starts
    again."""
    if ring.kind.name == MASTER.name:
        return timedelta(seconds=chosen.request_timeout_s)  # of who sealed and has not committed; the rest is counted
    if ring.kind.name == "access":
        return timedelta(seconds=max(chosen.access_token_ttl_s, chosen.unlock_ttl_s, MINTED_TTL_MAX_S))
    return max(timedelta(seconds=chosen.playback_token_ttl_s), timedelta(days=chosen.refresh_token_ttl_days))


def state(ring: Ring, key: RingKey[Any], chosen: Settings) -> str:
    """What a key does now, for a person."""
    signing, verb = ring.signing(), "wraps" if ring.kind.name == MASTER.name else "signs"
    if key.kid == signing.kid:
        return verb
    until = runs_out_at(ring, key, chosen)
    if until is None or key.made_at > signing.made_at:
        return f"{verb} from {signs_from(key, chosen).isoformat(timespec='seconds')}"
    if verb == "wraps":
        return "may be retired once nothing is under it"
    return "may be retired" if until <= utc_now() else f"verifies until {until.isoformat(timespec='seconds')}"
