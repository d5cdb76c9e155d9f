"""Whether a title that a profile is offered may be played now: by the rules of a start (ADR 15), which decides again.
Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

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


@dataclass(frozen=True)
class Viewer:
    """Who asks, and where they are; None: nobody can tell."""

    account_id: str
    maturity_limit: int | None
    territory: str | None


class Holding(msgspec.Struct):
    """A row of account_holdings as the projection stores it, as far as it says what may be played."""

    subscription: Moments | None = None
    purchase: PurchaseMoments | None = None


_holdings = msgspec.json.Decoder(Holding)


class Holdings:
    """What an account holds at a time, of values that are each "<offset>:<updated_ms>:<row>"."""

    def __init__(self, values: Iterable[bytes], now: datetime) -> None:
        held = [_holdings.decode(value.split(b":", 2)[2]) for value in values]
        self.now_s = now.timestamp()
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


def unplayable(
    title_id: str, facts: TitleFacts | None, viewer: Viewer, holdings: Holdings, *, subscription_required: bool
) -> Unplayable | None:
    """Why a viewer cannot play a title; None: they can, or nobody can tell: nobody knows where they are, or there are
    no facts. But a profile with a limit is offered nothing of which nobody knows for whom it is.
    """
    if facts is not None and not facts.is_published:
        return "not_published"
    if not is_within(facts.minimum_age if facts else None, viewer.maturity_limit):
        return "above_maturity_limit"
    if facts is None or viewer.territory is None:
        return None
    licences = frozenset(w.licence for w in facts.windows if w.opens_s <= holdings.now_s < w.closes_s)
    if not licences:
        return "not_available"
    return None if holdings.entitle(title_id, facts, licences, required=subscription_required) else "not_entitled"
