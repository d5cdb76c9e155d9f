"""The state of a stream as of a cut: what the decider of its context would have decided on. Pure.

Events are folded as commands fold them, by evolve; snapshots are not used, so that nothing but events is believed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from audits.as_of.cuts import Cut, Decisive, Fact
from commands.catalog.decider import CATALOG
from commands.catalog.next_titles import NEXT_TITLES
from commands.catalog.next_titles import STREAM_ID as NEXT_TITLES_STREAM
from commands.decider import Decider
from commands.identity.api_keys import API_KEY
from commands.identity.decider import ACCOUNT
from commands.operations.decider import DEAD_LETTER
from commands.operations.view_decider import VIEW_CHANGES
from commands.subscription.coupons import COUPON
from commands.subscription.installation import Deciders, policy_of
from commands.subscription.offers import OFFER
from commands.subscription.plans import PLAN
from infra.settings import Settings

STREAM: Final = "the stream"


class StreamUnknown(ValueError):
    """No context has streams of this name."""


class StreamAsOf(msgspec.Struct, frozen=True, kw_only=True):
    """A stream at a cut. `version`: of its last event that counts; 0: it had none. `state`: as JSON has it; what was
    sealed is as it is kept. `later`: how many events it has beyond the cut.
    """

    stream: str
    version: int
    state: Any
    events: tuple[Decisive, ...]
    later: int


def deciders(settings: Settings) -> Mapping[str, Decider[Any, Any]]:
    """Who decides what, by what the names of the streams begin with."""
    under = Deciders.under(policy_of(settings))
    return {
        NEXT_TITLES_STREAM: NEXT_TITLES,
        "catalog.title-": CATALOG,
        "identity.account-": ACCOUNT,
        "identity.api_key-": API_KEY,
        "operations.dead_letter-": DEAD_LETTER,
        "operations.view-": VIEW_CHANGES,
        "subscription.account-": under.subscription,
        "subscription.coupon-": COUPON,
        "subscription.offer-": OFFER,
        "subscription.plan-": PLAN,
        "subscription.purchase-": under.purchase,
    }


def decider_of(stream: str, settings: Settings) -> Decider[Any, Any]:
    """Who decides a stream. Raises StreamUnknown."""
    known = deciders(settings)
    for name, decider in known.items():
        if stream.removeprefix(name) not in (stream, "") if name.endswith("-") else stream == name:
            return decider
    raise StreamUnknown(
        f"no stream is named {stream!r}: names begin with {', '.join(known)}; what playback reports has no streams, "
        "only views (playhead audit as-of view)"
    )


def stream_as_of(
    stream: str, facts: Sequence[Fact], cut: Cut, settings: Settings, *, at_version: int | None = None
) -> StreamAsOf:
    """Fold the events of a stream up to a cut. `facts`: all of them, in order. Raises StreamUnknown."""
    decider = decider_of(stream, settings)
    held = [fact for fact in cut.of(facts) if at_version is None or _version(fact) <= at_version]
    state = decider.state_after((fact.recorded.data for fact in held), decider.initial)
    return StreamAsOf(
        stream=stream,
        version=max(map(_version, held), default=0),
        state=plain(state),
        events=tuple(Decisive.of(fact, STREAM) for fact in held),
        later=len(facts) - len(held),
    )


def plain(value: object) -> Any:
    """A state or a row as JSON has it."""
    return msgspec.to_builtins(value, str_keys=True, enc_hook=str)


def _version(fact: Fact) -> int:
    return fact.recorded.envelope.sequence or 0
