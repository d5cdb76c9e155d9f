"""By what an account may play a title that is open to it, and what its viewer is told to do otherwise."""

from dataclasses import replace
from typing import Any

import pytest

from commands.playback.admission.entitling import entitlement_of, not_entitled
from commands.playback.admission.facts import Facts
from events.playback import EntitledBy
from events.subscription import PlanLimits
from events.types import AccountId, Licence, PurchaseId
from infra.entitlement import Entitlement, Held, Status, UsablePurchase
from tests.builders import movie

PLAN = PlanLimits(streams=2, max_resolution="1080p", profiles=5, downloads=10, ads=False)
BOUGHT = UsablePurchase(PurchaseId("p1"), is_unstarted=False)
RENTED = UsablePurchase(PurchaseId("p2"), is_unstarted=True)
ME = AccountId("a1")


def facts(*licences: str, **values: Any) -> Facts:
    return replace(Facts(title=movie(), licences=frozenset(map(Licence, licences))), **values)


def entitled(of: Facts) -> Entitlement | None:
    return entitlement_of(of, subscription_required=True)


@pytest.mark.parametrize("licence", ["avod", "fast"])
def test_what_advertisers_pay_for_is_free(licence: str) -> None:
    assert entitled(facts(licence)) == Entitlement("free")


def test_svod_needs_a_plan_that_gives_access() -> None:
    assert entitled(facts("svod")) is None
    assert entitled(facts("svod", held=Held(PLAN))) == Entitlement("subscription")


@pytest.mark.parametrize("licence", ["tvod", "est"])
def test_a_plan_does_not_open_what_is_rented_or_sold(licence: str) -> None:
    assert entitled(facts(licence, held=Held(PLAN))) is None


@pytest.mark.parametrize("licence", ["tvod", "est", "svod"])
def test_what_was_paid_for_plays_wherever_the_title_may_be_shown(licence: str) -> None:
    assert entitled(facts(licence, held=Held(None, BOUGHT))) == Entitlement("purchase")


@pytest.mark.parametrize(
    ("licences", "held", "by", "rental"),
    [
        (("svod", "tvod"), Held(PLAN, RENTED), "subscription", None),
        (("avod", "tvod"), Held(None, RENTED), "free", None),
        (("avod", "est"), Held(None, BOUGHT), "purchase", None),
        (("svod", "avod"), Held(PLAN), "subscription", None),
        (("tvod",), Held(PLAN, RENTED), "purchase", "p2"),
    ],
)
def test_a_rental_is_begun_only_when_nothing_else_would_do(
    licences: tuple[str, ...], held: Held, by: EntitledBy, rental: PurchaseId | None
) -> None:
    assert entitled(facts(*licences, held=held)) == Entitlement(by, rental)


def test_where_billing_is_elsewhere_a_subscription_is_taken_for_granted_and_a_purchase_is_not() -> None:
    assert entitlement_of(facts("svod"), subscription_required=False) == Entitlement("subscription")
    assert entitlement_of(facts("tvod"), subscription_required=False) is None


@pytest.mark.parametrize(
    ("licences", "status", "actions"),
    [
        (("svod",), None, ["subscribe"]),
        (("svod",), "expired", ["subscribe"]),
        (("svod",), "pending", ["pay"]),
        (("svod",), "past_due", ["pay"]),
        (("svod",), "paused", ["resume"]),
        (("svod", "tvod", "est"), None, ["subscribe", "rent", "buy"]),
        (("tvod",), "active", ["rent"]),
        (("est",), "past_due", ["buy"]),
    ],
)
def test_a_refusal_says_what_the_viewer_can_do(
    licences: tuple[str, ...], status: Status | None, actions: list[str]
) -> None:
    refusal = not_entitled(facts(*licences, status=status), ME)
    assert refusal.members == {
        "actions": actions,
        "licences": sorted(licences),
        "subscription_status": status,
    }
    assert all(action in refusal.detail for action in actions)


def test_what_is_overdue_is_told_with_where_to_pay_it() -> None:
    assert "/v1/subscriptions/a1/recover" in not_entitled(facts("svod", status="past_due"), ME).detail


@pytest.mark.parametrize(
    ("minimum_age", "limit", "is_within"),
    [(7, 7, True), (12, 7, False), (0, 0, True), (19, None, True), (None, None, True), (None, 21, False)],
)
def test_a_title_is_within_a_limit_when_it_is_rated_for_that_age(
    minimum_age: int | None, limit: int | None, *, is_within: bool
) -> None:
    assert facts(minimum_age=minimum_age).is_within(limit) is is_within
