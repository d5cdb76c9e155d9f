"""Who is who by the API is held against the register: a row too few, too many or otherwise is a difference."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from playhead.demo.api import Api, connect
from playhead.demo.ledger import Ledger
from playhead.demo.people.identities import Identities
from playhead.demo.people.register import AccountRow, DeviceRow, ProfileRow, Register, SignInRow, StaffAction
from playhead.demo.people.signing import SignIn
from tests.demo.test_signing import HOME, tokens

BEGAN = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
ADA = "/v1/accounts/ada"
ACTIONS = "/v1/audit/staff-actions"
Rows = dict[str, Any]


def held() -> Rows:
    """What the API shows, by path, when all is as it should be."""
    phone = {"device_id": "phone", "name": "Phone", "type": "phone", "registered_at": BEGAN.isoformat()}
    profile = {"profile_id": "ada-1", "name": "Ada", "kids": False, "maturity_limit": None, "has_pin": False}
    profile["created_at"] = BEGAN.isoformat()
    return {
        ADA: {"email": "ada@home.example", "roles": []},
        f"{ADA}/profiles": {"items": [profile]},
        f"{ADA}/devices": {"items": [phone]},
        f"{ADA}/sessions": {"items": [session("one", BEGAN)]},
        ACTIONS: {"items": [action(3, BEGAN), action(1, BEGAN - timedelta(days=1))]},
    }


def session(sign_in_id: str, at: datetime, end_reason: str | None = None) -> Rows:
    facts = {"device_id": "phone", "method": "registration", "end_reason": end_reason}
    return {"sign_in_id": sign_in_id, "signed_in_at": at.isoformat(), **facts}


def action(version: int, at: datetime) -> Rows:
    facts = {"type": "catalog.TitlePublished.v1", "stream_id": "catalog.title-a-b", "principal": "editor"}
    facts["client_address"] = HOME
    return {"version": version, "at": at.isoformat(), **facts}


def register() -> Register:
    """What was acknowledged of the same."""
    return Register(
        Ledger(),
        accounts={"ada": AccountRow("ada@home.example")},
        profiles={"ada-1": ProfileRow("ada", "Ada")},
        devices={"phone": DeviceRow("ada", "Phone", "phone")},
        sign_ins={"one": SignInRow("ada", "phone", "registration")},
        staff_actions={"a-b #3 TitlePublished": StaffAction("editor", HOME)},
    )


async def unequal(rows: Rows, wanted: Register | None = None) -> set[str]:
    """The views that differ, when the API shows these rows."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(rows[request.path])

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server, connect() as client:
        query = Api(client, str(server.make_url("")).rstrip("/"))
        ada = SignIn(query, tokens(), HOME)
        views = await Identities(wanted or register(), query, {"ada": ada}, ada).compare(BEGAN)
    assert len(views) == 5
    return {view.view for view in views if not view.equal}


async def test_all_is_equal_when_the_api_shows_what_was_acknowledged() -> None:
    assert await unequal(held()) == set()


@pytest.mark.parametrize(
    ("change", "view"),
    [
        (lambda rows: rows[ADA].update(email="eve@home.example"), "identity_accounts"),
        (lambda rows: rows[ADA].update(roles=["operator"]), "identity_accounts"),
        (lambda rows: rows[f"{ADA}/profiles"]["items"][0].update(has_pin=True), "identity_profiles"),
        (lambda rows: rows[f"{ADA}/devices"]["items"].clear(), "identity_devices"),
        (lambda rows: rows[f"{ADA}/sessions"]["items"].append(session("two", BEGAN)), "identity_sign_ins"),
        (lambda rows: rows[f"{ADA}/sessions"]["items"][0].update(end_reason="everywhere"), "identity_sign_ins"),
        (lambda rows: rows[ACTIONS]["items"].append(action(4, BEGAN)), "staff_actions"),
        (lambda rows: rows[ACTIONS]["items"].pop(0), "staff_actions"),
        (lambda rows: rows[ACTIONS]["items"][0].update(principal="eve"), "staff_actions"),
        (lambda rows: rows[ACTIONS]["items"][0].update(client_address="127.0.0.1"), "staff_actions"),
    ],
)
async def test_a_row_too_few_too_many_or_otherwise_is_found(change: Callable[[Rows], object], view: str) -> None:
    rows = held()
    change(rows)
    assert await unequal(rows) == {view}


async def test_what_staff_published_on_an_evening_before_counts_when_they_were_told_of_it_again() -> None:
    wanted = register()
    wanted.staff_actions["a-b #1 TitlePublished"] = StaffAction("editor", HOME)
    assert await unequal(held(), wanted) == set()


async def test_sign_ins_and_devices_of_before_the_evening_are_left_out() -> None:
    rows, before = held(), (BEGAN - timedelta(days=1)).isoformat()
    rows[f"{ADA}/devices"]["items"].append({"device_id": "old", "name": "Old", "type": "tv", "registered_at": before})
    rows[f"{ADA}/sessions"]["items"].append(session("before", BEGAN - timedelta(days=1), "replaced"))
    assert await unequal(rows) == set()
