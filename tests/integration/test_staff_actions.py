"""What staff do lands in the log with who, when, from where, before and after, and auditors find it: over HTTP, through
Kafka, on real servers. What viewers do does not.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from commands.identity import commands as c
from events.envelope import Context, decode
from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.ids import new_id
from infra.settings import Settings
from tests.integration.identity_stack import register
from tests.integration.subscription_stack import Stack, running_stack, viewer

pytestmark = pytest.mark.integration

EDITOR = Principal(subject="editor-1", roles=("editor",))
BILLING = Principal(subject="billing-1", roles=("billing",))
OPERATOR = Principal(subject="operator-1", roles=("operator",))
AUDITOR = Principal(subject="auditor-1", roles=("auditor",))
MOVIE = {
    "name": "Sintel",
    "synopsis": "A girl looks for her dragon.",
    "duration_ms": 888_000,
    "maturity": {"system": "KR", "value": "12", "minimum_age": 12},
    "availability": [{"territories": ["KR"], "starts_at": "2026-01-01T00:00:00+09:00"}],
}
PLAN = {
    "name": "Standard",
    "prices": [{"period": "month", "price": {"amount_minor": 999, "currency": "EUR"}}],
    "limits": {"streams": 2, "max_resolution": "1080p", "profiles": 5, "downloads": 10, "ads": False},
}
HERE = "127.0.0.1"


@pytest.fixture(scope="module")
async def stack(live: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with running_stack(live, Path(tmp_path_factory.mktemp("staff"))) as running:
        yield running


@pytest.fixture
def began_at() -> datetime:
    return utc_now()


async def actions(stack: Stack, **filters: str) -> list[dict[str, Any]]:
    """What auditors find, newest first, having seen the last command."""
    query = "&".join(f"{name}={quote(value)}" for name, value in filters.items())
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = (await stack.get(f"/v1/audit/staff-actions?limit=2&{query}{cursor}", AUDITOR)).raise_for_status().json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = f"&cursor={page['next_cursor']}"


async def test_an_editor_publishes_and_withdraws_a_title(stack: Stack, began_at: datetime) -> None:
    published = await stack.post("/v1/catalog/movies", MOVIE, EDITOR)
    title_id = published.raise_for_status().json()["id"]
    (await stack.post(f"/v1/catalog/titles/{title_id}/withdraw", {"reason": "Rights."}, EDITOR)).raise_for_status()
    withdrew, *_, made = await actions(stack, stream=f"catalog.title-{title_id}")
    assert (made["type"], made["principal"], made["client_address"]) == ("catalog.TitlePublished.v1", "editor-1", HERE)
    assert began_at <= datetime.fromisoformat(made["at"]) <= utc_now()
    assert made["before"] == {"title": None}
    assert made["after"]["title"]["details"]["texts"][0]["name"] == "Sintel"
    assert made["data"]["title_id"] == title_id
    assert withdrew["before"]["title"]["status"] == "published"
    assert withdrew["after"]["title"]["status"] == "withdrawn"
    assert "details" not in withdrew["after"]["title"]  # only what changed


async def test_billing_staff_revise_a_plan(stack: Stack) -> None:
    plan_id = f"p{new_id()[-12:]}"
    (await stack.post("/v1/plans", {"plan_id": plan_id, **PLAN}, BILLING)).raise_for_status()
    (await stack.post(f"/v1/plans/{plan_id}/revisions", {**PLAN, "trial_days": 14}, BILLING)).raise_for_status()
    revised, defined = await actions(stack, stream=f"subscription.plan-{plan_id}")
    assert (revised["principal"], revised["client_address"]) == ("billing-1", HERE)
    assert defined["before"] == {"plan": None}
    assert revised["before"] == {"plan": {"trial_days": 0, "version": 1}}
    assert revised["after"] == {"plan": {"trial_days": 14, "version": 2}}


async def test_an_operator_issues_an_api_key_and_revokes_it(stack: Stack) -> None:
    body = {"name": "Grafana", "scopes": ["playback:read"]}
    issued = (await stack.post("/v1/api-keys", body, OPERATOR)).raise_for_status().json()
    (await stack.post(f"/v1/api-keys/{issued['api_key_id']}/revoke", {}, OPERATOR)).raise_for_status()
    revoked, made = await actions(stack, stream=f"identity.api_key-{issued['api_key_id']}")
    assert (made["principal"], made["client_address"]) == ("operator-1", HERE)
    assert made["after"]["issued"]["scopes"] == ["playback:read"]
    assert (revoked["before"], revoked["after"]) == ({"revoked": False}, {"revoked": True})
    assert issued["key"] not in str([made, revoked])


async def test_an_operator_grants_a_role_and_takes_it_back(stack: Stack) -> None:
    home = await register(stack.pool, stack.settings, "anna@example.com")
    path = f"/v1/accounts/{home.account_id}/roles"
    (await stack.post(path, {"role": "editor"}, OPERATOR)).raise_for_status()
    (await stack.post(f"{path}/editor/revoke", {}, OPERATOR)).raise_for_status()
    revoked, granted = await actions(stack, stream=f"identity.account-{home.account_id}")
    assert (granted["type"], granted["principal"]) == ("identity.RoleGranted.v1", "operator-1")
    assert (granted["before"], granted["after"]) == ({"roles": []}, {"roles": ["editor"]})
    assert (revoked["before"], revoked["after"]) == ({"roles": ["editor"]}, {"roles": []})


async def test_what_a_server_does_with_its_api_key_is_told_by_the_key(stack: Stack) -> None:
    home = await register(stack.pool, stack.settings, "di@example.com")
    body = {"name": "Rota", "scopes": ["staff:write"]}
    issued = (await stack.post("/v1/api-keys", body, OPERATOR)).raise_for_status().json()
    granted = await stack.commands.post(
        f"/v1/accounts/{home.account_id}/roles",
        json={"role": "analyst"},
        headers={"Authorization": f"Bearer {issued['key']}", "Idempotency-Key": new_id()},
    )
    stack.position["last"] = granted.raise_for_status().headers["playhead-position"]
    [action] = await actions(stack, stream=f"identity.account-{home.account_id}")
    assert issued["api_key_id"] in action["principal"]
    assert (action["client_address"], action["after"]) == (HERE, {"roles": ["analyst"]})


async def test_of_a_command_with_many_events_the_last_says_what_it_changed(stack: Stack) -> None:
    home = await register(stack.pool, stack.settings, "bo@example.com")
    tv, phone = home.signs_in("tv"), home.signs_in("phone")
    await home.has(tv, phone)
    by = Context(correlation_id=new_id(), principal="operator-1", client_address="192.0.2.7")
    await home.has(c.RemoveDevice(device_id=tv.device.device_id), by=by)
    stack.position["last"] = home.position
    removed, ended = await actions(stack, stream=f"identity.account-{home.account_id}")
    assert [each["type"] for each in (ended, removed)] == ["identity.SignedOut.v1", "identity.DeviceRemoved.v1"]
    assert ended["correlation_id"] == removed["correlation_id"]
    assert (ended["before"], ended["after"]) == (None, None)
    assert removed["before"]["sign_ins"] == {tv.sign_in_id: "tv"}
    assert removed["before"]["devices"]["tv"]["name"] == "sealed"
    assert removed["after"] == {"devices": {}, "sign_ins": {}}


async def test_what_viewers_do_is_no_staff_action_and_their_events_say_neither_where_nor_what(stack: Stack) -> None:
    plan_id, me = f"p{new_id()[-12:]}", f"a{new_id()[-12:]}"
    (await stack.post("/v1/plans", {"plan_id": plan_id, **PLAN}, BILLING)).raise_for_status()
    body = {"plan_id": plan_id, "period": "month", "currency": "EUR", "time_zone": "Europe/Amsterdam"}
    (await stack.post("/v1/subscriptions", body, viewer(me))).raise_for_status()
    (await stack.post(f"/v1/subscriptions/{me}/cancel", {"immediately": True}, viewer(me))).raise_for_status()
    home = await register(stack.pool, stack.settings, "cy@example.com")
    await home.has(home.signs_in("tv"), home.adds("Cy"))
    stack.position["last"] += f",{home.position}"
    for stream_id in (f"subscription.account-{me}", f"identity.account-{home.account_id}"):
        assert await actions(stack, stream=stream_id) == []
        bodies = await stack.pool.fetch("select body from event_log where stream_id = $1", stream_id)
        assert len(bodies) >= 2
        for envelope in (decode(row["body"]) for row in bodies):
            assert (envelope.clientaddress, envelope.change) == (None, None)


async def test_staff_who_act_on_an_account_are_told_from_its_owner(stack: Stack) -> None:
    plan_id, me = f"p{new_id()[-12:]}", f"a{new_id()[-12:]}"
    (await stack.post("/v1/plans", {"plan_id": plan_id, **PLAN}, BILLING)).raise_for_status()
    body = {"plan_id": plan_id, "period": "month", "currency": "EUR", "time_zone": "Europe/Amsterdam"}
    (await stack.post("/v1/subscriptions", body, viewer(me))).raise_for_status()
    (await stack.post(f"/v1/subscriptions/{me}/cancel", {"immediately": True}, BILLING)).raise_for_status()
    done = await actions(stack, stream=f"subscription.account-{me}")
    assert {each["principal"] for each in done} == {"billing-1"}
    assert done[0]["after"]


async def test_actions_are_found_by_who_what_and_when(stack: Stack) -> None:
    who = Principal(subject=f"operator-{new_id()[-8:]}", roles=("operator",))
    for name in ("one", "two", "three"):
        body = {"name": name, "scopes": ["playback:read"]}
        (await stack.post("/v1/api-keys", body, who)).raise_for_status()
        await asyncio.sleep(0.002)
    by_who = await actions(stack, principal=who.subject)
    assert [each["data"]["name"] for each in by_who] == ["three", "two", "one"]
    assert await actions(stack, principal=who.subject, type="identity.ApiKeyIssued.v1") == by_who
    assert await actions(stack, principal=who.subject, type="identity.ApiKeyRevoked.v1") == []
    three, two, one = (each["at"] for each in by_who)
    assert await actions(stack, principal=who.subject, **{"from": two}) == by_who[:2]
    assert await actions(stack, principal=who.subject, to=two) == by_who[2:]
    assert await actions(stack, principal=who.subject, **{"from": one, "to": three}) == by_who[1:]
    later = (datetime.fromisoformat(three) + timedelta(days=1)).isoformat()
    assert await actions(stack, principal=who.subject, **{"from": later}) == []
