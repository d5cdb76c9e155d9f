"""The recipes of docs/audits.md, run as they stand there, on archives in which the answer is known."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as bounded

from commands.subscription import commands as c
from events import playback as p
from events.envelope import Envelope, Event
from events.identity import Device, DeviceRegistered, SignedIn, SignedOut
from events.types import AccountId, DeviceId, Sealed, SignInId
from projections.playback.playback_sessions import PlaybackSession, PlaybackSessions
from tests.audits.sql.archives import archive_of, asked, described
from tests.builders import EVENING, device, envelope, episode, movie, playback_started, reported, session
from tests.commands.subscription.accounts import DAY, DECLINE, FEB, PAY, T0, invoice, sign_up
from tests.projections.folds import rows_after
from tests.projections.generated.evenings import histories
from tests.projections.subscription.histories import of_account

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "audits.md"
RECIPES: Final = dict(re.findall(r"^```sql ([\w ]+)\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL))
MINUTE: Final = timedelta(minutes=1)


def of_session(number: int, **changes: Any) -> p.SessionSnapshot:
    """A session of an account of its own, unless told."""
    told = {"account_id": AccountId(f"account-{number}"), "started_at": EVENING + number * MINUTE, **changes}
    return session(f"session-{number}", **told)


def failed(of: p.SessionSnapshot, after: timedelta, code: str, *, fatal: bool = False) -> Envelope[Event]:
    return reported(p.Failed, 1, of=of, time=of.started_at + after, code=code, fatal=fatal, cdn="north")


def test_an_outage_is_seen_by_the_minute(tmp_path: Path) -> None:
    fine, hit, lost = of_session(0), of_session(0, account_id="account-9"), of_session(1)
    hit = msgspec.structs.replace(hit, session_id="session-9")
    archive = archive_of(
        tmp_path,
        [
            playback_started(fine),
            playback_started(hit),
            reported(p.Started, 0, of=fine),
            failed(hit, timedelta(seconds=20), "CDN-503"),
            playback_started(lost),
            failed(lost, timedelta(seconds=5), "CDN-503", fatal=True),
            failed(hit, MINUTE, "DRM-1"),
            failed(hit, timedelta(hours=2), "CDN-503"),
        ],
    )
    assert asked(archive, RECIPES["outage"]) == [
        ("2026-11-21T19:00:00Z", 2, 1, 1, 0, 1, "CDN-503"),
        ("2026-11-21T19:01:00Z", 1, 0, 2, 1, 2, "CDN-503"),
    ]
    hits = described(archive, RECIPES["who was hit"])
    assert [(row["account_id"], row["errors"], row["codes"], row["cdns"]) for row in hits] == [
        ("account-9", 2, ["CDN-503", "DRM-1"], ["north"]),
        ("account-1", 1, ["CDN-503"], ["north"]),
    ]


@pytest.fixture(scope="module")
def charged(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The archive of a subscriber whose renewal was declined, taken two days later, and given back."""
    life = of_account(
        (sign_up(), T0),
        (PAY, T0),
        (c.Renew(number=2), FEB),
        (DECLINE, FEB),
        (c.RetryPayment(invoice_id=invoice(2), attempt=2), FEB + 2 * DAY),
        (PAY, FEB + 2 * DAY),
        (c.RequestRefund(invoice_id=invoice(2), note="disputed"), FEB + 3 * DAY),
    )
    told = [msgspec.structs.replace(each, recordedtime=each.time) for each in life]
    watching = session("session-1", account_id=AccountId("a1"), started_at=FEB + DAY)
    other = session("session-2", account_id=AccountId("a2"), started_at=FEB + DAY)
    return archive_of(
        tmp_path_factory.mktemp("state"),
        [
            *told,
            playback_started(watching, territory="DE"),
            reported(p.Heartbeat, 6, of=watching),
            playback_started(other),
        ],
    )


def test_a_disputed_charge_is_told_from_invoice_to_refund(charged: Any) -> None:
    told = described(charged, RECIPES["the charge"])
    assert [(row["what"], row["attempt"], row["minor_units"], row["currency"], row["code"]) for row in told] == [
        ("InvoiceIssued", None, 999, "EUR", None),
        ("PaymentRequested", 1, 999, "EUR", None),
        ("PaymentFailed", 1, None, None, "insufficient_funds"),
        ("PaymentRequested", 2, 999, "EUR", None),
        ("PaymentSucceeded", 2, 999, "EUR", None),
        ("RefundRequested", None, 999, "EUR", None),
    ]


def test_what_a_subscriber_could_watch_stands_around_the_charge(charged: Any) -> None:
    around = described(charged, RECIPES["around the charge"])
    assert [row["what"] for row in around] == [
        "SubscriptionStarted",
        "SubscriptionActivated",
        "SubscriptionEnteredGrace",
        "SubscriptionRecovered",
    ]
    watched = described(charged, RECIPES["watched meanwhile"])
    assert [(row["session_id"], row["territory"], row["device"]) for row in watched] == [("session-1", "DE", "tv")]


def test_royalties_are_by_title_and_territory(tmp_path: Path) -> None:
    film, show = movie("film"), episode(1)
    korean, german, later = of_session(1, title=film), of_session(2, title=film), of_session(3, title=show)
    december = of_session(4, title=film, started_at=datetime(2026, 12, 1, tzinfo=UTC))
    events = [
        event
        for of, territory, heartbeats in ((korean, "KR", 6), (german, "DE", 12), (later, "KR", 3), (december, "KR", 60))
        for event in (
            playback_started(of, territory=territory),
            reported(p.Started, 0, of=of),
            *(reported(p.Heartbeat, seq, of=of) for seq in range(1, heartbeats + 1)),
        )
    ]
    jump = reported(p.Heartbeat, 7, of=korean, position_ms=40 * 60_000)
    assert asked(archive_of(tmp_path, [*events, jump, jump]), RECIPES["royalties"]) == [
        ("film", "DE", 1, 2.0),
        ("film", "KR", 1, 1.0),
        ("harbour-s1e1", "KR", 1, 0.5),
    ]


@bounded(max_examples=10, deadline=None)
@given(histories())
def test_the_royalty_recipe_measures_what_the_view_measures(events: list[Envelope[Event]]) -> None:
    measured = RECIPES["royalties"].partition("select title_id, coalesce(territory")[0]
    by_session = (
        "select session_id, cast(coalesce(sum(ms), 0) as bigint) from sessions left join apart using (session_id)"
    )
    view = PlaybackSessions(reorder_window=10_000)
    rows: dict[str, PlaybackSession] = asyncio.run(rows_after(view, events)) if events else {}
    with TemporaryDirectory() as directory:
        found = asked(archive_of(Path(directory), events), f"{measured} {by_session} group by all")
    assert dict(found) == {id_: row.watched_ms for id_, row in rows.items() if row.event_count}  # type: ignore[arg-type]


def test_a_suspicious_account_shows_its_devices_places_and_streams(tmp_path: Path) -> None:
    account = AccountId("account-1")
    events: list[Envelope[Event]] = []
    for number, territory in enumerate(("KR", "KR", "BR")):
        of = of_session(number, account_id=account, device=device(f"tv-{number}"))
        events += [playback_started(of, territory=territory), reported(p.Heartbeat, 30, of=of)]
    alone = of_session(9, account_id=account, started_at=EVENING + timedelta(days=1))
    events += [playback_started(alone, territory="KR"), playback_started(of_session(5))]
    archive = archive_of(tmp_path, events)

    assert asked(archive, RECIPES["devices and places"]) == [
        ("2026-11-21", 3, 1, 3, ["BR", "KR"]),
        ("2026-11-22", 1, 1, 1, ["KR"]),
    ]
    at_a_time = described(archive, RECIPES["at a time"])
    assert [(row["moment"], row["streams"], row["device"], row["territory"]) for row in at_a_time] == [
        ("2026-11-21T19:02:00Z", 3, "tv-0", "KR"),
        ("2026-11-21T19:02:00Z", 3, "tv-1", "KR"),
        ("2026-11-21T19:02:00Z", 3, "tv-2", "BR"),
    ]


def test_a_suspicious_accounts_sign_ins_are_told_with_their_devices(tmp_path: Path) -> None:
    account, phone = AccountId("account-1"), DeviceId("phone-1")
    told = (
        DeviceRegistered(account_id=account, device=Device(device_id=phone, name=Sealed("v1.sealed"), type="phone")),
        SignedIn(account_id=account, sign_in_id=SignInId("s-1"), device_id=phone, method="password"),
        SignedOut(account_id=account, sign_in_id=SignInId("s-1"), device_id=phone, reason="replaced"),
    )
    signed = described(archive_of(tmp_path, [envelope(event) for event in told]), RECIPES["how it signed in"])
    assert [(row["what"], row["device"], row["method"], row["reason"]) for row in signed] == [
        ("DeviceRegistered", "phone-1", None, None),
        ("SignedIn", "phone-1", "password", None),
        ("SignedOut", "phone-1", None, "replaced"),
    ]


def test_every_recipe_is_answered_by_an_empty_archive(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, [])
    assert len(RECIPES) == 9
    assert {name: asked(archive, sql) for name, sql in RECIPES.items()} == {name: [] for name in RECIPES}
