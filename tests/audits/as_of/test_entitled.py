"""Who was entitled to what: answered as a start would have been at that moment, by what was known."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from audits.as_of.cuts import Cut, Fact
from audits.as_of.entitled import Entitled, ProfileUnknown, entitled_as_of
from audits.as_of.holdings import Question, Told, subscription_as_of
from audits.as_of.titles import title_as_of, title_then
from commands.subscription import commands as c
from commands.subscription.installation import of_account, of_purchase
from commands.subscription.purchases import PurchaseCommand, StartRental, purchase_decider
from commands.subscription.time_passing import has_access
from events.envelope import Envelope, Event
from events.identity import Profile, ProfileCreated
from events.topics import CATALOG, IDENTITY, SUBSCRIPTION
from events.types import Availability, Licence, ProfileId, PurchaseId, Sealed
from tests.audits.as_of.told import facts
from tests.builders import KR_15, envelope, episode_published, movie_published, title_withdrawn
from tests.commands.subscription.accounts import (
    DAY,
    FEB,
    ME,
    PAY,
    POLICY,
    T0,
    Step,
    answer,
    sign_up,
)
from tests.commands.subscription.accounts import (
    SUBSCRIPTION as DECIDER,
)
from tests.integration.box_office import paying, starting
from tests.projections.generated import HISTORIES

HOME: Final = "NL"
MOMENT: Final = timedelta(microseconds=1)
BEFORE: Final = T0 - DAY
ACTIVE: Final[tuple[Step, ...]] = ((sign_up(), T0), (PAY, T0))
PURCHASES: Final = purchase_decider(POLICY)
made_up = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def film(*licences: Licence, at: datetime = BEFORE, **changes: Any) -> Envelope[Event]:
    windows = tuple(Availability(territories=(HOME,), licence=licence) for licence in licences or (Licence.SVOD,))
    return taken(movie_published("heat", **{"availability": windows, "maturity": (), **changes}), at)


def taken(event: Envelope[Event], at: datetime) -> Envelope[Event]:
    return replace(event, time=at, recordedtime=at, id=f"{event.type}-{at}", principal="editor-1")


def lives(*steps: Step) -> list[Fact]:
    """The stream of an account's subscription: what was decided at these times."""
    history: list[Event] = []
    told: list[Envelope[Event]] = []
    stream = of_account(ME).stream_id
    for step, now in steps:
        command = answer(history, step) if isinstance(step, str) else step
        for event in DECIDER.decide(command, DECIDER.state_after(history, DECIDER.initial), now):
            history.append(event)
            told.append(in_stream(event, stream, now, len(history)))
    return facts(SUBSCRIPTION.name, told)


def buys(kind: Any, *then: tuple[PurchaseCommand, datetime], title: str = "heat") -> list[Fact]:
    """A purchase of the account at T0, paid, and what followed."""
    purchase_id, history = "p1", list[Event]()
    told: list[Envelope[Event]] = []
    steps: list[tuple[PurchaseCommand, datetime]] = [
        (starting(ME, title, purchase_id, kind), T0),
        (paying(purchase_id), T0),
    ]
    for command, now in [*steps, *then]:
        for event in PURCHASES.decide(command, PURCHASES.state_after(history, PURCHASES.initial), now):
            history.append(event)
            told.append(in_stream(event, of_purchase(PurchaseId(purchase_id)).stream_id, now, len(history)))
    return facts(SUBSCRIPTION.name, told)


def in_stream(event: Event, stream: str, now: datetime, version: int) -> Envelope[Event]:
    return envelope(
        event,
        id=f"{stream}/{version}",
        subject=stream,
        partitionkey=stream,
        sequence=version,
        time=now,
        recordedtime=now,
        principal="billing",
    )


def told(*titles: Envelope[Event], subscription: Sequence[Fact] = (), **more: Sequence[Fact]) -> Told:
    return Told(title=facts(CATALOG.name, titles), subscription=subscription, **more)


def asked(told: Told, at: datetime, *, known_at: datetime | None = None, **question: Any) -> Entitled:
    about = Question(**{"account_id": ME, "title_id": "heat", "territory": HOME, "at": at, **question})
    return entitled_as_of(about, told, Cut(known_at=known_at or at), subscription_required=True)


@pytest.mark.parametrize(
    ("steps", "at", "entitled", "status"),
    [
        ((), T0, False, None),
        (ACTIVE, T0 - MOMENT, False, None),
        (ACTIVE, T0, True, "active"),
        (ACTIVE, FEB, True, "grace"),  # nobody renewed it yet, and time alone says so
        (ACTIVE, FEB + 7 * DAY, False, "past_due"),
        ((*ACTIVE, (c.Cancel(immediately=True), T0 + DAY)), T0 + DAY - MOMENT, True, "active"),
        ((*ACTIVE, (c.Cancel(immediately=True), T0 + DAY)), T0 + DAY, False, "expired"),
        ((*ACTIVE, (c.Cancel(), T0 + DAY)), FEB - MOMENT, True, "canceled"),
        ((*ACTIVE, (c.Cancel(), T0 + DAY)), FEB, False, "expired"),
        ((*ACTIVE, (c.Pause(), T0 + DAY)), T0 + 2 * DAY, False, "paused"),
    ],
)
def test_a_subscription_entitles_for_as_long_as_it_did(
    steps: tuple[Step, ...], at: datetime, entitled: bool, status: str | None
) -> None:
    found = asked(told(film(), subscription=lives(*steps)), at)
    assert (found.entitled, found.subscription_status) == (entitled, status)
    assert (found.by, found.refused) == (("subscription", None) if entitled else (None, "not-entitled"))


def test_the_events_that_decided_are_named_in_order_with_who_and_where() -> None:
    steps = (*ACTIVE, (c.Cancel(immediately=True), T0 + DAY))
    found = asked(told(film(), subscription=lives(*steps)), T0 + 2 * DAY)
    assert [(event.about, event.type, event.actor) for event in found.events] == [
        ("title", "catalog.TitlePublished.v1", "editor-1"),
        ("subscription", "subscription.SubscriptionStarted.v1", "billing"),
        ("subscription", "subscription.SubscriptionActivated.v1", "billing"),
        ("subscription", "subscription.SubscriptionCanceled.v1", "billing"),
        ("subscription", "subscription.SubscriptionExpired.v1", "billing"),
    ]
    assert [event.place for event in found.events][-1].startswith("subscription.events:0:")


def test_what_was_not_known_then_does_not_count_unless_it_is_asked_with_what_is_known_later() -> None:
    """A title is withdrawn at noon; somebody asks about the hour before, in the evening."""
    withdrawn = taken(title_withdrawn(film()), T0 + 3 * DAY)
    both = told(film(), withdrawn, subscription=lives(*ACTIVE))
    assert asked(both, T0 + DAY).entitled
    assert asked(both, T0 + 4 * DAY).refused == "title-unknown"
    hindsight = entitled_as_of(
        Question(account_id=ME, title_id="heat", territory=HOME, at=T0 + DAY),
        both,
        Cut(known_at=T0 + 4 * DAY, happened_by=T0 + DAY),
        subscription_required=True,
    )
    assert hindsight.entitled


@pytest.mark.parametrize(
    ("title", "question", "refused"),
    [
        (None, {}, "title-unknown"),
        (film(), {"territory": None}, "location-unknown"),
        (film(), {"territory": "KR"}, "title-not-available"),
        (film(Licence.TVOD), {}, "not-entitled"),
    ],
)
def test_it_is_refused_as_a_start_would_have_been(
    title: Envelope[Event] | None, question: dict[str, Any], refused: str
) -> None:
    found = asked(told(*[title] if title else [], subscription=lives(*ACTIVE)), T0 + DAY, **question)
    assert (found.entitled, found.refused) == (False, refused)
    assert found.reason


def test_what_is_free_needs_no_subscription() -> None:
    found = asked(told(film(Licence.AVOD)), T0)
    assert (found.entitled, found.by) == (True, "free")


@pytest.mark.parametrize(
    ("at", "entitled"),
    [
        (T0 - MOMENT, False),
        (T0, True),
        (T0 + 31 * DAY, False),  # it was not begun in time
    ],
)
def test_a_rental_entitles_until_it_was_to_be_begun(at: datetime, entitled: bool) -> None:
    found = asked(told(film(Licence.TVOD), purchases=buys("rental")), at)
    assert found.entitled is entitled
    assert found.purchase_id == ("p1" if entitled else None)


def test_a_rental_that_was_begun_entitles_for_its_hours() -> None:
    bought = told(film(Licence.TVOD), purchases=buys("rental", (StartRental(), T0 + DAY)))
    assert asked(bought, T0 + DAY + timedelta(hours=47)).entitled
    assert not asked(bought, T0 + DAY + timedelta(hours=48)).entitled


def test_a_purchase_of_another_account_entitles_nobody() -> None:
    found = asked(told(film(Licence.EST), purchases=buys("purchase")), T0, account_id="somebody-else")
    assert (found.entitled, [event for event in found.events if event.about == "purchase"]) == (False, [])


def test_a_series_that_was_bought_is_all_of_its_episodes() -> None:
    windows = (Availability(territories=(HOME,), licence=Licence.EST),)
    episode = taken(episode_published(1, availability=windows, maturity=()), BEFORE)
    found = asked(told(episode, purchases=buys("purchase", title="harbour")), T0, title_id="harbour-s1e1")
    assert (found.entitled, found.by) == (True, "purchase")
    assert {event.about for event in found.events} == {"title", "purchase"}


def profile(limit: int | None) -> list[Fact]:
    created = ProfileCreated(
        account_id=ME,
        profile=Profile(
            profile_id=ProfileId("kid"), name=Sealed("sealed"), language="en", kids=True, maturity_limit=limit
        ),
    )
    return facts(IDENTITY.name, [in_stream(created, f"identity.account-{ME}", T0, 1)])


@pytest.mark.parametrize(("limit", "refused"), [(12, "pin-required"), (15, None), (None, None)])
def test_the_limit_that_the_profile_had_counts(limit: int | None, refused: str | None) -> None:
    rated = told(film(maturity=(KR_15,)), subscription=lives(*ACTIVE), account=profile(limit))
    found = asked(rated, T0 + DAY, profile_id="kid")
    assert (found.refused, found.maturity_limit, found.minimum_age) == (refused, limit, 15)
    assert "profile" in {event.about for event in found.events}


def test_a_profile_that_was_not_there_is_refused_by_name() -> None:
    with pytest.raises(ProfileUnknown, match="kid"):
        asked(told(film(), account=profile(12)), T0 - MOMENT, profile_id="kid")


def test_a_title_is_told_as_it_was() -> None:
    published, withdrawn = film(), taken(title_withdrawn(film()), T0)
    told_of = facts(CATALOG.name, [published, withdrawn])
    before = title_as_of("heat", title_then("heat", told_of, Cut(known_at=BEFORE)), at=BEFORE, territory=HOME)
    assert (before.published, before.available, before.licences) == (True, True, ("svod",))
    assert [event.type for event in before.events] == ["catalog.TitlePublished.v1"]
    after = title_as_of("heat", title_then("heat", told_of, Cut(known_at=T0)), at=T0, territory=HOME)
    assert (after.published, after.available, after.licences) == (False, False, ())
    assert [event.type for event in after.events][-1] == "catalog.TitleWithdrawn.v1"


def test_where_nobody_asked_nothing_is_said_of_availability() -> None:
    then = title_then("heat", facts(CATALOG.name, [film()]), Cut())
    assert title_as_of("heat", then, at=T0, territory=None).available is None


def test_a_window_that_opens_later_is_told() -> None:
    opening = Availability(territories=(HOME,), starts_at=T0 + DAY)
    found = asked(told(film(availability=(opening,)), subscription=lives(*ACTIVE)), T0)
    assert (found.refused, found.members["opens_at"]) == ("title-not-available", T0 + DAY)


@made_up
@given(data=st.data())
def test_access_at_any_time_is_what_the_decider_would_have_said(data: Any) -> None:
    """The view's fold and infra/entitlement.py, against the state of the stream and its own rule."""
    events = [each for each in data.draw(HISTORIES[SUBSCRIPTION.name]) if each.subject == "subscription.account-a1"]
    told_of = facts(SUBSCRIPTION.name, events)
    if not told_of:
        return
    known_at = data.draw(st.sampled_from([fact.history_time for fact in told_of]))
    at = known_at + data.draw(st.sampled_from([timedelta(0), DAY, 7 * DAY, 31 * DAY]))
    cut = Cut(known_at=known_at)
    found = subscription_as_of(Question(account_id="a1", at=at), Told(subscription=told_of), cut)
    state = DECIDER.state_after((fact.recorded.data for fact in cut.of(told_of)), DECIDER.initial)
    assert found.access is (state.current is not None and has_access(state, at, POLICY))
