"""What `playhead audit as-of` shows, and how it refuses."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
import typer
from msgspec.structs import replace
from typer.testing import CliRunner

from audits.as_of.answering import RowsAsOf
from audits.as_of.asking import CutRefused
from audits.as_of.cuts import Cut, Decisive
from audits.as_of.entitled import Entitled
from audits.as_of.holdings import SubscriptionAsOf
from audits.as_of.streams import StreamAsOf
from audits.as_of.titles import TitleAsOf
from infra.settings import Settings
from playhead.audit_as_of import app
from playhead.audit_as_of_work import NOT_ENTITLED, Moment, When, run, show, told
from playhead.view_versions import group_of, stop_of
from projections.slabs import Partition
from projections.versions.registry import Stop, VersionRefused

AT: Final = datetime(2026, 11, 21, 12, 4, tzinfo=UTC)
NO: Final = Entitled(
    account_id="a1",
    title_id="heat",
    territory="KR",
    profile_id=None,
    at=AT,
    known_at=AT,
    happened_by=AT,
    entitled=False,
    by=None,
    refused="not-entitled",
    reason="nothing entitles the account to heat",
    members={"actions": ["subscribe"]},
    title_name="Heat",
    licences=("svod",),
    minimum_age=15,
    maturity_limit=None,
    subscription_status=None,
    access_until=None,
    purchase_id=None,
    events=(),
)


async def answer(of: Any) -> Any:
    return of


def test_a_no_is_said_with_its_reason_and_by_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        run(answer(NO), as_json=True)
    assert ended.value.exit_code == NOT_ENTITLED
    assert '"refused":"not-entitled"' in capsys.readouterr().out
    assert told(NO)[1] == "no (not-entitled): nothing entitles the account to heat"


def test_each_answer_is_told_in_a_few_lines() -> None:
    stream = StreamAsOf(stream="subscription.account-a1", version=3, state={"status": "active"}, events=(), later=2)
    assert told(stream)[0] == "subscription.account-a1 at version 3; 2 events came later"
    nothing = SubscriptionAsOf(
        account_id="a1",
        at=AT,
        status=None,
        access=False,
        access_until=None,
        limits=None,
        subscription=None,
        purchases=(),
        usable=(),
        events=(),
    )
    assert told(nothing) == ["a1, 2026-11-21T12:04:00+00:00: no subscription"]
    unknown = TitleAsOf(
        title_id="heat",
        at=AT,
        territory="KR",
        published=False,
        available=False,
        licences=(),
        opens_at=None,
        minimum_age=None,
        ratings=(),
        title=None,
        windows=(),
        events=(),
    )
    assert told(unknown) == ["heat, 2026-11-21T12:04:00+00:00: unknown, not available in KR, not rated"]
    empty = RowsAsOf(view="accounts", key={}, rows=(), events=(), changes=0, failed=(), lacks=("kafka is left out",))
    assert told(empty) == ["kafka is left out", "accounts had no such row"]


def test_a_moment_is_asked_by_what_was_known_then_or_at_another_time() -> None:
    later = "2026-11-22T00:00:00Z"
    assert Moment("2026-11-21T12:04:00Z", None).cut() == Cut(known_at=AT, happened_by=AT)
    assert Moment("2026-11-21T12:04:00Z", later).cut() == Cut(
        known_at=datetime(2026, 11, 22, tzinfo=UTC), happened_by=AT
    )
    with pytest.raises(CutRefused):
        When(None, None, ()).cut()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (
            ["view", "title_audience_by_hour", "--key", "x=1", "--at", "2026-11-21T12:04:00Z"],
            "views rebuild playback_sessions",
        ),
        (["view", "nothing", "--key", "x=1", "--at", "2026-11-21T12:04:00Z"], "there is no view"),
        (["stream", "playback.session-1", "--at", "2026-11-21T12:04:00Z"], "no stream is named"),
        (["stream", "subscription.account-a1"], "say as of when"),
        (["title", "heat", "--at", "yesterday"], "yesterday"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_line(arguments: list[str], why: str) -> None:
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 1
    assert why in " ".join(ended.output.split())


@pytest.mark.parametrize("as_of", ["yesterday", "2026-11-21T21:04:00", "nothing.events:0:1"])
async def test_a_view_is_not_built_as_of_what_is_no_cut(as_of: str) -> None:
    with pytest.raises(VersionRefused):
        await stop_of(Settings(), group_of(Settings(), "playback_sessions"), as_of)


def test_whatever_is_built_as_of_a_cut_ends_at_its_offsets() -> None:
    stop = Stop("then", {"playback.events:3": 7})
    assert stop.of(Partition("playback.events", 3)) == 7
    assert stop.of(Partition("playback.events", 4)) == 0


def test_events_are_shown_with_their_places_and_ids_whole(capsys: pytest.CaptureFixture[str]) -> None:
    event = Decisive(
        about="subscription",
        id="01a2003b-7549-755d-8ae8-430c79f49cb7",
        type="subscription.SubscriptionBecamePastDue.v1",
        time=AT,
        recorded_time=AT + timedelta(hours=1),
        actor="billing",
        place="subscription.events:14:1234567",
        stream="subscription.account-a1",
    )
    show(replace(NO, events=(event,)))
    shown = capsys.readouterr().out
    assert event.id in shown and event.place in shown
    assert "2026-11-21T12:04:00.000Z" in shown
