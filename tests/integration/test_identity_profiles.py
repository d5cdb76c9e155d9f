"""Profiles, PINs and devices over HTTP on real servers: what a child cannot do, and what a race cannot either."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from commands.identity.allowances import Allowances, allowances_of
from commands.identity.refusals import DeviceLimitReached
from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.ids import new_id
from infra.postgres import Pool
from infra.settings import Settings
from tests.integration.households import PASSWORD, House, Household, problem, running_house
from tests.integration.test_subscriptions import LIMITS

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
TERMS = {
    "plan_id": "family",
    "version": 1,
    "name": "Family",
    "period": "month",
    "price": {"amount_minor": 999, "currency": "EUR"},
    "limits": {**LIMITS, "profiles": 6},
}
NASTY = (
    "Robert'); drop table identity_profile_access;--",
    "quotes \" and ' and `",
    "{'a': 1}; TRUNCATE playhead.watch_history;",
    "%s %(name)s $1 \\x00 \\u0000",
    "엄마 👩‍👧 <script>alert(1)</script>",
)
REFUSED_NAMES = (
    "",
    "   ",
    "\u200d",
    "nul\x00",
    "line\nbreak",
    "right\u202eleft",
    "mark\u200f",
    "bom\ufeff",
    "\ud83d",
    "x" * 101,
)


@pytest.fixture(scope="module")
async def house(live: Settings) -> AsyncIterator[House]:
    async with running_house(live, devices_without_plan=3, profiles_without_plan=4) as house:
        yield house


@pytest.fixture
async def home(house: House) -> Household:
    return await house.household()


async def subscribe(postgres: Pool, account_id: str, status: str = "active", **moments: Any) -> None:
    """The row that the subscription's view would have."""
    columns = {"account_id": account_id, "subscription_id": new_id(), "status": status, "time_zone": "UTC", **moments}
    columns |= {"started_at": utc_now(), "updated_at": utc_now()}
    names, places = ", ".join(columns), ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    await postgres.execute(
        f"insert into subscriptions ({names}, terms, scheduled_terms, coupon)"
        f" values ({places}, ${len(columns) + 1}, 'null', 'null')",
        *columns.values(),
        json.dumps(TERMS),
    )


# Profiles


async def test_a_profile_is_created_changed_and_deleted(home: Household) -> None:
    created = await home.post("/profiles", name="  Cafe\u0301 ", avatar="fox", language="ko")
    assert (created.status_code, created.json()["events"]) == (201, ["ProfileCreated"])
    path = f"/profiles/{created.json()['id']}"
    same = await home.post(path, name="Café", avatar="fox", language="ko")  # the same name in its normal form
    assert (same.status_code, same.json().get("events")) == (200, []), same.text
    assert (await home.post(path, name="Ann", kids=True, maturity_limit=7)).json()["events"] == ["ProfileChanged"]
    likes = {"audio_language": "ko", "subtitles_language": "zh-Hant", "autoplay_next": False}
    assert (await home.post(f"{path}/preferences", **likes)).json()["events"] == ["PreferencesChanged"]
    assert (await home.post(f"{path}/preferences", **likes)).json()["events"] == []
    assert (await home.post(f"{path}/delete", password=PASSWORD)).json()["events"] == ["ProfileDeleted"]
    assert problem(await home.post(f"{path}/delete", password=PASSWORD)) == (404, "profile-unknown")


async def test_a_repeated_request_makes_one_profile(home: Household) -> None:
    replies = await asyncio.gather(*(home.post("/profiles", "once", name="Ann") for _ in range(5)))
    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.json()["id"] for reply in replies}) == 1


async def test_names_hold_what_people_write_and_nothing_that_deceives(home: Household, postgres: Pool) -> None:
    profile_id = await home.profile()
    for name in NASTY:
        assert (await home.post(f"/profiles/{profile_id}", name=name)).status_code == 200, name
    for name in REFUSED_NAMES:
        assert problem(await home.post(f"/profiles/{profile_id}", name=name)) == (422, "invalid-request"), repr(name)
    stream = f"identity.account-{home.account_id}"
    bodies = await postgres.fetch("select body from event_log where stream_id = $1", stream)
    assert not any(name.encode() in row["body"] for row in bodies for name in (*NASTY, "Mina"))  # all of them sealed


@pytest.mark.parametrize(
    "change",
    [
        {"language": "english"},
        {"language": "ko'; drop table person_key; --"},
        {"language": "k\x00"},
        {"avatar": "../../etc/passwd"},
        {"avatar": "fox\x00"},
        {"maturity_limit": 22},
        {"maturity_limit": -1},
        {"maturity_limit": "7"},
        {"maturity_limit": True},
        {"kids": "perhaps"},
        {"pin": "123"},
        {"pin": "123456789"},
        {"pin": "12a4"},
        {"pin": "١٢٣٤"},
        {"colour": "red"},
    ],
)
async def test_what_is_no_profile_is_refused(home: Household, change: dict[str, Any]) -> None:
    profile_id = await home.profile()
    refused = await home.post(f"/profiles/{profile_id}", **{"name": "Ann", **change})
    assert problem(refused) == (422, "invalid-request")
    assert str(change.get("pin", "no pin")) not in refused.text  # what was sent is not sent back


async def test_a_profile_of_another_account_is_nobodys_to_touch(home: Household, house: House) -> None:
    theirs = await house.household()
    profile_id = await theirs.profile()
    routes: tuple[tuple[str, dict[str, Any]], ...] = (
        ("", {"name": "Mine"}),
        ("/preferences", {}),
        ("/pin", {"pin": "1234", "password": PASSWORD}),
        ("/pin/remove", {"password": PASSWORD}),
        ("/delete", {"password": PASSWORD}),
        ("/choose", {}),
        ("/unlock", {"pin": "1234"}),
    )
    for path, body in routes:
        at_theirs = await home.post(f"{theirs.path}/profiles/{profile_id}{path}", **body)
        assert problem(at_theirs) == (403, "not-your-account"), path
        at_mine = await home.post(f"/profiles/{profile_id}{path}", **body)
        assert problem(at_mine) in {(404, "profile-unknown"), (403, "profile-not-chosen")}, path
    assert problem(await home.post(f"{theirs.path}/profiles", name="Mine")) == (403, "not-your-account")
    for path in ("rename", "remove"):
        device = f"/devices/{theirs.tokens['device_id']}/{path}"
        assert problem(await home.post(theirs.path + device, name="Mine")) == (403, "not-your-account")
        assert problem(await home.post(device, name="Mine")) == (404, "device-unknown")


async def test_profiles_that_race_for_the_last_place_leave_as_many_as_the_plan_allows(
    home: Household, postgres: Pool
) -> None:
    other = await home.signed_in("Kitchen")
    racing = [(home, other)[number % 2].post("/profiles", name=f"Racer {number}") for number in range(12)]
    replies = await asyncio.gather(*racing)
    assert Counter(reply.status_code for reply in replies) == {201: 4, 409: 8}
    assert {problem(reply)[1] for reply in replies if reply.status_code == 409} == {"profile-limit-reached"}
    count = "select count(*) from identity_profile_access where account_id = $1"
    assert await postgres.fetchval(count, home.account_id) == 4


async def test_an_id_that_is_none_gets_nowhere(home: Household) -> None:
    for wrong in ("%00", "x'%20or%201=1--", "%E2%80%AEx", "x" * 65, "%7B%22a%22:1%7D", ".."):
        for path, body in (
            ("profiles/{}/delete", {}),
            ("devices/{}/rename", {"name": "Den"}),
            ("profiles/{}/choose", {}),
        ):
            reply = await home.post("/" + path.format(wrong), **body)
            assert problem(reply) in {(422, "invalid-request"), (404, "no-such-route")}, (wrong, path)


# Choosing


async def test_a_profile_is_chosen_and_its_sign_in_keeps_its_refresh_token(home: Household) -> None:
    profile_id = await home.profile(maturity_limit=12)
    assert home.principal.profile_id is None
    chosen = await home.choosing(profile_id)
    assert (chosen.principal.profile_id, chosen.principal.maturity_limit) == (profile_id, 12)
    assert chosen.principal.sign_in_id == home.principal.sign_in_id
    assert chosen.tokens["refresh_token"] == home.tokens["refresh_token"]  # of the same number: none was used up
    again = await chosen.choosing(profile_id)
    assert again.tokens["profile_id"] == profile_id


async def test_the_number_of_the_refresh_token_is_the_grants(home: Household, postgres: Pool) -> None:
    rotate = "update identity_grants set generation = 7 where sign_in_id = $1"
    await postgres.execute(rotate, home.tokens["sign_in_id"])
    chosen = await home.choosing(await home.profile())
    read = home.house.app.state.tokens.read_refresh(chosen.tokens["refresh_token"])
    assert read == (home.tokens["sign_in_id"], 7)


async def test_deleting_a_chosen_profile_leaves_its_sign_in_without_one(home: Household, postgres: Pool) -> None:
    kitchen = await (await home.signed_in("Kitchen")).choosing(await home.profile())
    profile_id = kitchen.tokens["profile_id"]
    assert (await home.post(f"/profiles/{profile_id}/delete")).status_code == 200
    grant = "select profile_id from identity_grants where sign_in_id = $1"
    assert await postgres.fetchval(grant, kitchen.tokens["sign_in_id"]) is None
    assert problem(await kitchen.post(f"/profiles/{profile_id}/choose")) == (404, "profile-unknown")
    assert problem(await kitchen.post(f"/profiles/{profile_id}/unlock", pin="1234")) == (404, "profile-unknown")


async def test_a_sign_in_that_ended_chooses_nothing(home: Household) -> None:
    profile_id, kitchen = await home.profile(), await home.signed_in("Kitchen")
    assert (await home.post(f"/devices/{kitchen.tokens['device_id']}/remove")).status_code == 200
    assert problem(await kitchen.post(f"/profiles/{profile_id}/choose")) == (404, "sign-in-unknown")


async def test_a_token_of_no_sign_in_chooses_nothing(home: Household) -> None:
    profile_id = await home.profile()
    token = home.house.app.state.tokens.mint_access(Principal(subject="dev", account_id=home.account_id))
    by_token = home.using({"access_token": token})
    assert problem(await by_token.post(f"/profiles/{profile_id}/choose")) == (404, "sign-in-unknown")


async def test_a_profile_that_is_deleted_while_it_is_chosen_is_chosen_or_unknown(home: Household) -> None:
    outcomes = set()
    for _ in range(8):
        profile_id = await home.profile()
        choosing, deleting = await asyncio.gather(
            home.post(f"/profiles/{profile_id}/choose"), home.post(f"/profiles/{profile_id}/delete")
        )
        assert deleting.status_code == 200
        outcomes.add(choosing.status_code)
        again = await home.post(f"/profiles/{profile_id}/choose")
        assert problem(again) == (404, "profile-unknown")
    assert outcomes <= {200, 404}


async def test_choosing_while_refreshing_leaves_refresh_tokens_that_work(home: Household) -> None:
    profile_id, token = await home.profile(), home.tokens["refresh_token"]
    for _ in range(5):
        refreshed, chosen = await asyncio.gather(refresh(home, token), home.post(f"/profiles/{profile_id}/choose"))
        assert (refreshed.status_code, chosen.status_code) == (200, 200)
        for reply in (chosen, refreshed):  # whichever the player keeps
            kept = await refresh(home, reply.json()["refresh_token"])
            assert kept.status_code == 200, kept.text
            assert kept.json()["profile_id"] == profile_id
        token = kept.json()["refresh_token"]


async def refresh(home: Household, token: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return await home.house.client.post("/oauth/token", data=form)


# PINs


async def test_a_profile_with_a_pin_is_chosen_with_it_and_kept_without(home: Household) -> None:
    profile_id = await home.protected(await home.profile())
    path = f"/profiles/{profile_id}/choose"
    assert problem(await home.post(path)) == (403, "pin-required")
    wrong = await home.post(path, pin="1234")
    assert (problem(wrong), wrong.json()["tries_left"]) == ((403, "pin-wrong"), 4)
    chosen = await home.choosing(profile_id, pin="4711")
    assert (await chosen.post(path)).status_code == 200  # the sign-in has that profile already
    kitchen = await home.signed_in("Kitchen")
    assert problem(await kitchen.post(path)) == (403, "pin-required")


async def test_the_right_pin_comes_too_late_after_too_many_wrong_ones(home: Household) -> None:
    profile_id = await home.protected(await home.profile())
    path = f"/profiles/{profile_id}/choose"
    left = [(await home.post(path, pin=f"000{number}")).json()["tries_left"] for number in range(5)]
    assert left == [4, 3, 2, 1, 0]
    late = await home.post(path, pin="4711")
    assert problem(late) == (429, "too-many-attempts")
    assert 0 < int(late.headers["Retry-After"]) <= 900
    kitchen = await home.signed_in("Kitchen")
    assert problem(await kitchen.post(path, pin="4711")) == (429, "too-many-attempts")  # the PIN is locked everywhere
    await home.protected(profile_id, "2222")  # and the account's password sets another one
    assert (await kitchen.post(path, pin="2222")).status_code == 200


async def test_pins_that_are_guessed_at_once_are_counted_before_they_are_looked_at(home: Household) -> None:
    profile_id = await home.protected(await home.profile())
    path = f"/profiles/{profile_id}/choose"
    replies = await asyncio.gather(*(home.post(path, pin=f"{number:04}") for number in range(50)))
    assert Counter(problem(reply) for reply in replies) == {(403, "pin-wrong"): 5, (429, "too-many-attempts"): 45}


async def test_a_sign_in_guesses_at_all_profiles_together(home: Household) -> None:
    mother, father = [
        await home.protected(await home.profile(name), pin) for name, pin in (("M", "1111"), ("F", "2222"))
    ]
    for number in range(5):
        await home.post(f"/profiles/{(mother, father)[number % 2]}/choose", pin="9999")
    assert problem(await home.post(f"/profiles/{mother}/choose", pin="1111")) == (429, "too-many-attempts")
    kitchen = await home.signed_in("Kitchen")
    assert (await kitchen.post(f"/profiles/{mother}/choose", pin="1111")).status_code == 200


async def test_a_pin_is_guessed_nowhere_else_either(home: Household) -> None:
    profile_id = await home.protected(await home.profile(kids=True, maturity_limit=7))
    child, path = await home.choosing(profile_id, pin="4711"), f"/profiles/{profile_id}"
    tries: tuple[tuple[str, dict[str, Any]], ...] = (
        (f"{path}/unlock", {"pin": "0000"}),
        (f"{path}/pin", {"pin": "1234", "current_pin": "0000"}),
        (f"{path}/pin/remove", {"pin": "0000"}),
        (f"{path}/delete", {"pin": "0000"}),
        (path, {"name": "Mina", "pin": "0000"}),
    )
    for left, (where, body) in zip((4, 3, 2, 1, 0), tries, strict=True):
        reply = await child.post(where, **body)
        assert (problem(reply), reply.json()["tries_left"]) == ((403, "pin-wrong"), left)
    for where, body in tries:
        right = {name: value.replace("0000", "4711") for name, value in body.items()}
        assert problem(await child.post(where, **right)) == (429, "too-many-attempts")


async def test_pins_are_counted_while_redis_is_away(home: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    profile_id = await home.protected(await home.profile())
    throttle = home.house.app.state.throttle
    nobody = Redis.from_url("redis://127.0.0.1:1/0")
    monkeypatch.setattr(throttle, "_redis", nobody)
    path = f"/profiles/{profile_id}/choose"
    guesses = [await home.post(path, pin=f"000{number}") for number in range(6)]
    assert [reply.status_code for reply in guesses] == [403] * 5 + [429]
    assert guesses[0].json()["tries_left"] == 4
    await nobody.aclose()


async def test_what_lets_see_more_is_proved_by_the_password_or_the_pin(home: Household) -> None:
    profile_id = await home.protected(await home.profile(kids=True, maturity_limit=7))
    path, looser = f"/profiles/{profile_id}", {"name": "Mina", "maturity_limit": 15}
    assert problem(await home.post(path, **looser)) == (403, "proof-required")
    assert problem(await home.post(path, **looser, pin="1234")) == (403, "pin-wrong")
    assert problem(await home.post(path, **looser, password="guessed")) == (403, "password-wrong")
    assert (await home.post(path, **looser, pin="4711")).json()["events"] == ["ProfileChanged"]
    looser = {"name": "Mina"}
    assert (await home.post(path, **looser, password=PASSWORD)).json()["events"] == ["ProfileChanged"]
    assert problem(await home.post(f"{path}/delete")) == (403, "proof-required")
    assert (await home.post(f"{path}/delete", pin="4711")).json()["events"] == ["ProfileDeleted"]


async def test_a_pin_is_set_changed_and_removed_by_who_knows_it(home: Household, postgres: Pool) -> None:
    profile_id = await home.profile()
    path, stored = f"/profiles/{profile_id}/pin", "select pin_hash from identity_profile_access where profile_id = $1"
    assert problem(await home.post(path, pin="1234")) == (403, "proof-required")
    assert problem(await home.post(path, pin="1234", current_pin="0000")) == (409, "pin-not-set")
    assert (await home.post(path, pin="1234", password=PASSWORD)).json()["events"] == ["ProfilePinSet"]
    hashed = await postgres.fetchval(stored, profile_id)
    assert hashed.startswith("$argon2id$") and "1234" not in hashed.rpartition("$")[2]
    changed = await home.post(path, "changing", pin="87654321", current_pin="1234")
    assert changed.json()["events"] == ["ProfilePinSet"]
    again = await home.post(path, "changing", pin="87654321", current_pin="1234")  # 1234 is not the PIN any more
    assert again.json() == changed.json()
    assert problem(await home.post(f"{path}/remove", pin="1234")) == (403, "pin-wrong")
    assert problem(await home.post(f"{path}/remove")) == (403, "proof-required")
    assert (await home.post(f"{path}/remove", pin="87654321")).json()["events"] == ["ProfilePinRemoved"]
    assert await postgres.fetchval(stored, profile_id) is None
    assert (await home.post(f"{path}/remove")).json()["events"] == []


async def test_passwords_are_not_guessed_here_either(home: Household) -> None:
    path = f"/profiles/{await home.profile()}/pin"
    for number in range(5):
        assert problem(await home.post(path, pin="1234", password=f"guess {number}")) == (403, "password-wrong")
    assert problem(await home.post(path, pin="1234", password=PASSWORD)) == (429, "too-many-attempts")


async def test_a_child_makes_itself_no_profile_that_sees_more(home: Household) -> None:
    mother = await home.protected(await home.profile("Mother"))
    child = await home.choosing(await home.profile("Child", kids=True, maturity_limit=7))
    assert problem(await child.post("/profiles", name="Big")) == (403, "proof-required")
    assert problem(await child.post("/profiles", name="Big", maturity_limit=12)) == (403, "proof-required")
    assert (await child.post("/profiles", name="Friend", maturity_limit=7)).status_code == 201
    for profile_id in (mother, child.tokens["profile_id"]):  # without a profile nothing would hold it back
        assert problem(await child.post(f"/profiles/{profile_id}/delete")) == (403, "proof-required")
    assert problem(await child.post(f"/profiles/{mother}/choose")) == (403, "pin-required")


async def test_a_pin_in_the_table_of_replies_is_not_found_by_trying_them_all(home: Household, postgres: Pool) -> None:

    path = f"{home.path}/profiles/{await home.profile()}/pin"
    await home.post(path, "guessed", pin="1234", password=PASSWORD)
    stored = await postgres.fetchval(
        "select request_digest from idempotency where key = $1", f"{home.account_id}:guessed"
    )
    body = f'POST {path}\n{{"pin":"1234","password":"{PASSWORD}"}}'
    assert stored is not None and stored != sha256(body.encode()).digest()


# Unlocking


async def test_a_pin_unlocks_for_a_while_what_is_above_the_limit(home: Household) -> None:
    profile_id = await home.protected(await home.profile(maturity_limit=7))
    path = f"/profiles/{profile_id}/unlock"
    assert problem(await home.post(path, pin="4711")) == (403, "profile-not-chosen")
    child = await home.choosing(profile_id, pin="4711")
    assert problem(await child.post(path, pin="0000")) == (403, "pin-wrong")
    reply = (await child.post(path, pin="4711")).json()
    assert reply["expires_in"] == 900 and "refresh_token" not in reply
    unlocked = child.using(reply).principal
    assert unlocked.maturity_limit is None
    assert (unlocked.profile_id, unlocked.sign_in_id, unlocked.device_id, unlocked.scopes) == (
        profile_id,
        child.principal.sign_in_id,
        child.principal.device_id,
        child.principal.scopes,
    )
    assert (await child.choosing(profile_id)).principal.maturity_limit == 7  # the sign-in itself is not unlocked


async def test_a_profile_without_a_pin_is_not_unlocked(home: Household) -> None:
    profile_id = await home.profile(maturity_limit=7)
    child = await home.choosing(profile_id)
    assert problem(await child.post(f"/profiles/{profile_id}/unlock", pin="4711")) == (409, "pin-not-set")


# Devices


async def test_a_device_is_renamed_and_removed(home: Household, postgres: Pool) -> None:
    kitchen = await home.signed_in("Kitchen")
    path = f"/devices/{kitchen.tokens['device_id']}"
    assert (await home.post(f"{path}/rename", name="Grandma's")).json()["events"] == ["DeviceRenamed"]
    assert (await home.post(f"{path}/rename", name="Grandma's")).json()["events"] == []
    for name in NASTY:
        assert (await home.post(f"{path}/rename", name=name)).status_code == 200, name
    for name in REFUSED_NAMES:
        assert problem(await home.post(f"{path}/rename", name=name)) == (422, "invalid-request"), repr(name)
    assert (await home.post(f"{path}/remove")).json()["events"] == ["SignedOut", "DeviceRemoved"]
    assert problem(await home.post(f"{path}/remove")) == (404, "device-unknown")
    grants = "select count(*) from identity_grants where account_id = $1"
    assert await postgres.fetchval(grants, home.account_id) == 1


async def test_a_device_limit_lists_the_devices_and_one_makes_room(home: Household) -> None:
    kitchen, attic = await home.signed_in("Kitchen"), await home.signed_in("Attic")
    with pytest.raises(DeviceLimitReached) as refused:
        await home.sign_in("Garage")
    devices = [one.tokens["device_id"] for one in (home, kitchen, attic)]
    assert refused.value.members == {"devices_allowed": 3, "device_ids": sorted(devices)}
    again = await home.sign_in("Kitchen", kitchen.tokens["device_id"])
    assert again.device_id == kitchen.tokens["device_id"]  # the same device needs no room
    garage = await home.sign_in("Garage", instead_of=attic.tokens["device_id"])
    assert garage.device_id not in devices
    assert problem(await attic.post("/profiles/x/choose")) == (404, "profile-unknown")


async def test_two_hundred_sign_ins_at_once_leave_as_many_devices_as_the_limit_allows(
    live: Settings, postgres: Pool
) -> None:
    async with running_house(live, devices_without_plan=2) as house:
        home = await house.household()
        outcomes = await asyncio.gather(*(home.sign_in(f"TV {n}") for n in range(200)), return_exceptions=True)
    assert Counter(type(outcome).__name__ for outcome in outcomes) == {"TokensReply": 1, "DeviceLimitReached": 199}
    devices = "select count(distinct device_id) from identity_grants where account_id = $1"
    assert await postgres.fetchval(devices, home.account_id) == 2


# Plans


@pytest.mark.parametrize(
    ("status", "moments", "paid"),
    [
        ("active", {"paid_through": 5, "grace_until": 8}, True),
        ("active", {}, True),  # a plan that costs nothing
        ("active", {"paid_through": -5, "grace_until": 2}, True),
        ("active", {"paid_through": -5, "grace_until": -2}, False),
        ("trialing", {"paid_through": 5, "grace_until": 8}, True),
        ("grace", {"paid_through": -1, "grace_until": 2}, True),
        ("canceled", {"paid_through": 5, "ends_at": 5}, True),
        ("canceled", {"paid_through": -5, "ends_at": -5, "grace_until": 3}, False),
        ("past_due", {"paid_through": -5, "grace_until": -2, "expires_at": 20}, False),
        ("expired", {"paid_through": -50}, False),
        ("pending", {"pending_until": 1}, False),
        ("paused", {"paid_through": 5, "grace_until": 8, "paused_at": -2, "resumes_at": 10}, False),
        ("paused", {"paid_through": -1, "grace_until": 2, "paused_at": -9, "resumes_at": -4}, True),
        ("paused", {"paid_through": -9, "grace_until": -6, "paused_at": -10, "resumes_at": -8}, False),
        (None, {}, False),
    ],
)
async def test_a_plan_allows_what_is_paid_and_else_there_is_little(
    live: Settings, postgres: Pool, status: str | None, moments: dict[str, int], *, paid: bool
) -> None:
    account_id = f"a{new_id()[-12:]}"
    if status is not None:
        days = {name: utc_now() + number * DAY for name, number in moments.items()}
        await subscribe(postgres, account_id, status, **days)
    allowed = await allowances_of(postgres, account_id, utc_now(), live)
    little = Allowances(live.profiles_without_plan, live.devices_without_plan)
    assert allowed == (Allowances(profiles=5, devices=8) if paid else little)


async def test_whoever_leaves_a_plan_keeps_what_is_there_and_adds_nothing(home: Household, postgres: Pool) -> None:
    await subscribe(postgres, home.account_id, grace_until=utc_now() + DAY)
    profiles = [await home.profile(f"No. {number}") for number in range(5)]
    assert problem(await home.post("/profiles", name="Sixth")) == (409, "profile-limit-reached")
    await postgres.execute("update subscriptions set status = 'expired' where account_id = $1", home.account_id)
    assert (await home.post(f"/profiles/{profiles[4]}", name="Still here")).status_code == 200
    assert problem(await home.post("/profiles", name="Sixth")) == (409, "profile-limit-reached")
    await home.choosing(profiles[4])
