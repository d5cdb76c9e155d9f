"""Whether a title that a profile is offered may be played now: by the rules of a start (ADR 15), which decides again.
Pure.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from math import inf
from typing import Final, Literal, NamedTuple, TypeAlias, get_args, get_type_hints

import msgspec

from infra.entitlement import Moments, PurchaseMoments, entitlement_by, is_within, standing_at

Unplayable: TypeAlias = Literal["not_published", "above_maturity_limit", "not_available", "not_entitled"]
"""Why a title cannot be played now; above_maturity_limit: the profile's PIN opens it."""


class Window(NamedTuple):
    """When a title may be played in a territory under a licence, in seconds of the epoch."""

    licence: str
    opens_s: float
    closes_s: float


class TitleFacts(NamedTuple):
    """A title in a territory: what it is called, for whom it is (None: nobody rated it), and its windows."""

    name: str
    season_number: int | None
    episode_number: int | None
    series_id: str | None
    minimum_age: int | None
    is_published: bool
    windows: tuple[Window, ...]


class Viewer(NamedTuple):
    """Who asks, and where they are; None: nobody can tell."""

    account_id: str
    maturity_limit: int | None
    territory: str | None


class Holding(msgspec.Struct):
    """A row of account_holdings as the projection stores it, as far as it says what may be played."""

    subscription: Moments | None = None
    purchase: PurchaseMoments | None = None


_holdings = msgspec.json.Decoder(Holding)
MOMENTS: Final = {
    each: tuple(name for name, kind in get_type_hints(each).items() if datetime in get_args(kind))
    for each in (Moments, PurchaseMoments)
}
"""The fields that tell when something begins or ends."""


class Holdings:
    """What an account holds at a time, of values that are each "<offset>:<updated_ms>:<row>". `until_s`: until when it
    is no other, or sooner: the next of all the moments that are told of it.
    """

    def __init__(self, values: Iterable[bytes], now: datetime) -> None:
        held = [_holdings.decode(value.split(b":", 2)[2]) for value in values]
        self.until_s = min((at.timestamp() for one in held for at in _moments(one, now) if at > now), default=inf)
        self.has_plan = any(one.subscription and standing_at(one.subscription, now).access for one in held)
        owned = [(one.purchase.title_id, one.purchase.usable_at(now)) for one in held if one.purchase]
        self._purchases = {title_id: usable for title_id, usable in owned if usable is not None}

    def entitle(self, title_id: str, facts: TitleFacts, licences: frozenset[str], *, required: bool) -> bool:
        """Whether they entitle to a title that is open under some licences. A series that was bought is all of its
        episodes.
        """
        owned = self._purchases.get(title_id) or self._purchases.get(facts.series_id or title_id)
        given = entitlement_by(licences, has_plan=self.has_plan, purchase=owned, subscription_required=required)
        return given is not None


def _moments(held: Holding, now: datetime) -> Iterator[datetime]:
    """When something may begin or end; of a subscription whose pause is over, also when it does since."""
    told: list[Moments | PurchaseMoments] = [one for one in (held.subscription, held.purchase) if one is not None]
    if held.subscription is not None and held.subscription.status == "paused":
        told.append(standing_at(held.subscription, now).moments)
    for one in told:
        for name in MOMENTS[type(one)]:
            at: datetime | None = getattr(one, name)
            if at is not None:
                yield at


def changes_at_s(facts: TitleFacts, now_s: float) -> float:
    """When the next window of a title opens or closes."""
    soonest_s = inf
    for window in facts.windows:
        at_s = window.opens_s if now_s < window.opens_s else window.closes_s
        if now_s < at_s < soonest_s:
            soonest_s = at_s
    return soonest_s


def unplayable(
    title_id: str,
    facts: TitleFacts | None,
    viewer: Viewer,
    holdings: Holdings,
    *,
    now_s: float,
    subscription_required: bool,
) -> Unplayable | None:
    """Why a viewer cannot play a title; None: they can, or nobody can tell: nobody knows where they are, or there are
    no facts. But a profile with a limit is offered nothing of which nobody knows for whom it is. `now_s`: epoch
    seconds, before holdings.until_s.
    """
    if facts is not None and not facts.is_published:
        return "not_published"
    if not is_within(facts.minimum_age if facts else None, viewer.maturity_limit):
        return "above_maturity_limit"
    if facts is None or viewer.territory is None:
        return None
    licences = frozenset([w.licence for w in facts.windows if w.opens_s <= now_s < w.closes_s])
    if not licences:
        return "not_available"
    return None if holdings.entitle(title_id, facts, licences, required=subscription_required) else "not_entitled"
