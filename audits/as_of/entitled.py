"""Whether an account might watch a title at a time: decided by what admits a start (commands/playback/admission), on
the rows that the views' folds come to. Pure; no rule of its own.

What a start is asked besides, which device and how many streams, is not: that is not of the title and the account. The
settings are today's.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from audits.as_of.cuts import Cut, Decisive, in_order
from audits.as_of.holdings import PURCHASE, SUBSCRIPTION, Question, Told, about, holdings, moments_of, only, standing_of
from audits.as_of.rows import Folding, folded
from audits.as_of.titles import TitleThen, open_licences, opens_at, title_then
from commands.errors import PROBLEMS
from commands.playback.admission.checking import Asked, checked
from commands.playback.admission.entitling import entitlement_of, not_entitled
from commands.playback.admission.facts import PLAYABLE, Facts, GroupOfTitles
from events.playback import EntitledBy, TitleSnapshot
from events.refusals import Refusal
from events.types import AccountId, Licence, SeriesId, TitleId, TitleKind
from infra.access.permissions import Principal
from infra.entitlement import Held, UsablePurchase
from projections.catalog.catalog_titles import CatalogTitle
from projections.identity.profiles import Profiles
from projections.subscription.purchases import Purchase
from projections.subscription.subscriptions import Subscription

PROFILE: Final = "profile"


class ProfileUnknown(ValueError):
    """The account had no such profile then."""


class Entitled(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. `by`: what entitled; `refused`: the problem that a start would have got, with `reason` as it would
    have been said."""

    account_id: str
    title_id: str
    territory: str | None
    profile_id: str | None
    at: datetime
    known_at: datetime | None
    happened_by: datetime | None
    entitled: bool
    by: EntitledBy | None
    refused: str | None
    reason: str
    members: Mapping[str, Any]
    title_name: str | None
    licences: tuple[str, ...]
    minimum_age: int | None
    maturity_limit: int | None
    subscription_status: str | None
    access_until: datetime | None
    purchase_id: str | None
    events: tuple[Decisive, ...]


def entitled_as_of(question: Question, told: Told, cut: Cut, *, subscription_required: bool) -> Entitled:
    """Whether the account might watch the title, and by what, as a start would have been answered. Raises
    ProfileUnknown.
    """
    assert question.title_id is not None
    then = title_then(question.title_id, told.title, cut)
    lived, owned = holdings(question, told, cut)
    limit, of_profile = _maturity_limit(question, told, cut)
    found = facts_then(question, then, only(lived), owned.rows)
    by, refusal = _decided(found, _asked(question, limit), subscription_required=subscription_required)
    mine = _of_titles(owned, _sold_as(question.title_id, then.title))
    facts = found if isinstance(found, Facts) else None
    standing = standing_of(only(lived), question.at)
    return Entitled(
        account_id=question.account_id,
        title_id=question.title_id,
        territory=question.territory,
        profile_id=question.profile_id,
        at=question.at,
        known_at=cut.known_at,
        happened_by=cut.happened_by,
        entitled=by is not None,
        by=by,
        refused=PROBLEMS[type(refusal)].slug if refusal else None,
        reason=str(refusal) if refusal else _reason(by),
        members=refusal.members if refusal else {},
        title_name=then.title.name if then.title else None,
        licences=tuple(sorted(facts.licences)) if facts else (),
        minimum_age=facts.minimum_age if facts else None,
        maturity_limit=limit,
        subscription_status=standing.status if standing else None,
        access_until=standing.access_until if standing else None,
        purchase_id=facts.held.purchase.purchase_id if facts and facts.held.purchase else None,
        events=in_order(
            (*then.events, *about(SUBSCRIPTION, lived.events), *about(PURCHASE, mine), *about(PROFILE, of_profile))
        ),
    )


def _asked(question: Question, maturity_limit: int | None) -> Asked:
    """What a start would have asked."""
    caller = Principal(
        subject="audit",
        account_id=question.account_id,
        profile_id=question.profile_id,
        maturity_limit=maturity_limit,
    )
    title_id = TitleId(question.title_id or "")
    return Asked(title_id=title_id, device_id="", caller=caller, territory=question.territory)


def facts_then(
    question: Question, then: TitleThen, subscription: Subscription | None, purchases: Sequence[Purchase]
) -> Facts | GroupOfTitles | None:
    """What admission would have found in the read models (admission/facts.py), had they been asked then."""
    title, at = then.title, question.at
    if title is None or title.status != "published":
        return None
    if title.kind not in PLAYABLE:
        return GroupOfTitles(title.kind)
    standing = standing_of(subscription, at)
    return Facts(
        title=_snapshot(title),
        minimum_age=title.minimum_age,
        licences=frozenset(map(Licence, open_licences(then.windows, question.territory, at))),
        opens_at=opens_at(then.windows, question.territory, at),
        status=standing.status if standing else None,
        held=Held(
            subscription.terms.limits if subscription and standing and standing.access else None,
            _usable(purchases, _sold_as(title.title_id, title), at),
        ),
    )


def _decided(
    found: Facts | GroupOfTitles | None, asked: Asked, *, subscription_required: bool
) -> tuple[EntitledBy | None, Refusal | None]:
    try:
        facts = checked(found, asked)
    except Refusal as refusal:
        return None, refusal
    entitled = entitlement_of(facts, subscription_required=subscription_required)
    if entitled is None:
        return None, not_entitled(facts, AccountId(asked.caller.account_id or ""))
    return entitled.by, None


def _reason(by: EntitledBy | None) -> str:
    match by:
        case "subscription":
            return "the subscription's plan gave access, and the title is in a window of subscriptions"
        case "purchase":
            return "the account had rented or bought it"
        case _:
            return "the title was in a window that costs the viewer nothing"


def _maturity_limit(question: Question, told: Told, cut: Cut) -> tuple[int | None, tuple[Decisive, ...]]:
    if question.profile_id is None:
        return None, ()
    profiles = folded(Profiles(), cut.of(told.account), lambda key: key == question.account_id)
    for row in profiles.rows:
        for profile in row.profiles:
            if profile.profile_id == question.profile_id:
                return profile.maturity_limit, profiles.events
    raise ProfileUnknown(f"account {question.account_id} had no profile {question.profile_id} then")


def _usable(purchases: Sequence[Purchase], titles: frozenset[str], at: datetime) -> UsablePurchase | None:
    """What of it may be played; what was begun is used up first, as in admission/facts.py."""
    usable = [moments_of(one).usable_at(at) for one in purchases if one.title_id in titles]
    return min(
        (one for one in usable if one is not None), key=lambda one: (one.is_unstarted, one.purchase_id), default=None
    )


def _sold_as(title_id: str, title: CatalogTitle | None) -> frozenset[str]:
    """What a purchase of a title may be of: a series that was bought is all of its episodes."""
    return frozenset({title_id} if title is None or title.series_id is None else {title_id, title.series_id})


def _of_titles(owned: Folding, titles: frozenset[str]) -> list[Decisive]:
    streams = {f"subscription.purchase-{one.purchase_id}" for one in owned.rows if one.title_id in titles}
    return [event for event in owned.events if event.stream in streams]


def _snapshot(title: CatalogTitle) -> TitleSnapshot:
    return TitleSnapshot(
        title_id=TitleId(title.title_id),
        kind=TitleKind(title.kind),
        name=title.name,
        duration_ms=title.duration_ms or 0,
        credits_start_ms=title.credits_start_ms,
        series_id=SeriesId(title.series_id) if title.series_id else None,
        series_name=title.series_name,
        season_number=title.season_number,
        episode_number=title.episode_number,
    )
