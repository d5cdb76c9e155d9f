"""Accounts over HTTP, on real servers: registration, sign-in, passwords, addresses, withdrawal and staff roles."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from commands.handling import Handling, Outcome
from commands.identity.passwords import Passwords
from events.identity import Role
from infra.access.permissions import Principal
from infra.ids import new_id
from infra.postgres import Pool
from infra.settings import Settings
from playhead.staff_roles import run
from tests.integration.identity_door import ANOTHER, PASSWORD, TELEVISION, Door, opened_door, problem, token_in

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
async def door(live: Settings, postgres: Pool, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    async with opened_door(live, postgres, tmp_path_factory.mktemp("mail")) as opened:
        yield opened


@pytest.fixture
def me() -> str:
    return f"ann-{new_id()[-12:]}@example.com"


async def test_an_account_from_registration_to_signing_in(door: Door, me: str) -> None:
    begun = await door.registered(me)
    assert begun["token_type"] == "Bearer"
    again = await door.sign_in(me.upper(), device={**TELEVISION, "device_id": begun["device_id"]})
    assert again.status_code == 200
    assert again.json()["account_id"] == begun["account_id"]
    assert again.json()["device_id"] == begun["device_id"]
    assert again.json()["sign_in_id"] != begun["sign_in_id"]


async def test_nothing_of_a_person_is_in_the_log_or_in_the_tables(door: Door, me: str) -> None:
    account_id = (await door.registered(me))["account_id"]
    bodies = await door.pool.fetch("select body from event_log where stream_id = $1", f"identity.account-{account_id}")
    rows = [
        *await door.pool.fetch("select * from identity_credentials where account_id = $1", account_id),
        *await door.pool.fetch("select * from identity_one_time_tokens where account_id = $1", account_id),
        *await door.pool.fetch("select * from identity_mail"),
    ]
    kept = b"".join(row["body"] for row in bodies) + repr(rows).encode()
    assert bodies
    for secret in (me, me.partition("@")[0], PASSWORD, "Den"):
        assert secret.encode() not in kept


async def test_the_reply_is_the_same_whether_an_address_has_an_account_or_not(door: Door, me: str) -> None:
    await door.registered(me)
    free = await door.post("/v1/registrations", {"email": f"new-{me}", "password": PASSWORD})
    taken = await door.post("/v1/registrations", {"email": me, "password": ANOTHER})
    assert (free.status_code, free.content) == (taken.status_code, taken.content) == (202, free.content)
    assert free.headers.keys() == taken.headers.keys()
    assert await door.mail(me, "You have an account")


async def test_as_much_is_hashed_for_an_address_with_an_account_as_for_one_without(door: Door, me: str) -> None:
    await door.registered(me)
    passwords: Passwords = door.app.state.passwords
    counts = []
    for email in (me, f"new-{me}"):
        before = passwords.computed
        await door.post("/v1/registrations", {"email": email, "password": ANOTHER})
        await door.sign_in(email, "wrong-password")
        counts.append(passwords.computed - before)
    assert counts == [2, 2]


async def test_who_registers_anothers_address_gains_nothing_when_the_owner_follows_the_link(
    door: Door, me: str
) -> None:
    await door.post("/v1/registrations", {"email": me, "password": ANOTHER})
    token = await door.token(me, "Confirm your address")
    reply = await door.post("/v1/registrations/confirm", {"token": token, "password": PASSWORD, "device": TELEVISION})
    assert problem(reply) == (401, "credentials-wrong")
    assert problem(await door.sign_in(me, ANOTHER)) == (401, "credentials-wrong")


async def test_a_confirmation_whose_reply_was_lost_signs_in_again_on_the_same_device(door: Door, me: str) -> None:
    await door.post("/v1/registrations", {"email": me, "password": PASSWORD})
    token = await door.token(me, "Confirm your address")
    body = {"token": token, "password": PASSWORD, "device": {**TELEVISION, "device_id": "of-another-account"}}
    first, second = [await door.post("/v1/registrations/confirm", body) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["account_id"] == second.json()["account_id"]
    assert first.json()["device_id"] == second.json()["device_id"]
    types = await door.types(f"identity.account-{first.json()['account_id']}")
    assert types.count("identity.DeviceRegistered.v1") == 1


async def test_confirmations_at_the_same_time_begin_one_account(door: Door, me: str) -> None:
    await door.post("/v1/registrations", {"email": me, "password": PASSWORD})
    token = await door.token(me, "Confirm your address")
    body = {"token": token, "password": PASSWORD, "device": TELEVISION}
    replies = await asyncio.gather(*(door.post("/v1/registrations/confirm", body) for _ in range(4)))
    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.json()["account_id"] for reply in replies}) == 1
    assert len({reply.json()["device_id"] for reply in replies}) == 1


async def test_of_two_registrations_of_an_address_the_first_to_be_proved_begins_the_account(
    door: Door, me: str
) -> None:
    for _ in range(2):
        await door.post("/v1/registrations", {"email": me, "password": PASSWORD})
    letters = await door.mail(me, "Confirm your address", 2)
    replies = await asyncio.gather(
        *(
            door.post(
                "/v1/registrations/confirm", {"token": token_in(letter), "password": PASSWORD, "device": TELEVISION}
            )
            for letter in letters
        )
    )
    assert sorted(reply.status_code for reply in replies) == [201, 409]
    assert problem(max(replies, key=lambda reply: reply.status_code)) == (409, "account-exists")


async def test_unknown_address_wrong_password_and_unproved_registration_look_the_same(door: Door, me: str) -> None:
    await door.registered(me)
    await door.post("/v1/registrations", {"email": f"unproved-{me}", "password": PASSWORD})
    replies = [
        await door.sign_in(me, "wrong-password"),
        await door.sign_in(f"nobody-{me}"),
        await door.sign_in(f"unproved-{me}"),
    ]
    assert {problem(reply) for reply in replies} == {(401, "credentials-wrong")}
    assert len({reply.content for reply in replies}) == 1


class Killed:
    """What runs commands, killed once: before its command number `at`, or after it."""

    def __init__(self, handling: Handling, at: int, *, after: bool) -> None:
        self._handling, self._at, self._after = handling, at, after
        self._count = 0

    async def handle(self, command: Any, **terms: Any) -> Outcome:
        self._count += 1
        dies = self._count == self._at
        if dies and not self._after:
            raise ConnectionError("killed before")
        outcome = await self._handling.handle(command, **terms)
        if dies:
            raise ConnectionError("killed after")
        return outcome


@contextmanager
def killed(door: Door, at: int, *, after: bool) -> Iterator[None]:
    opened = door.app.state.resources
    door.app.state.resources = replace(opened, handling=Killed(opened.handling, at, after=after))
    try:
        yield
    finally:
        door.app.state.resources = opened


@pytest.mark.parametrize(("at", "after"), [(1, False), (1, True), (2, False), (2, True)])
async def test_a_confirmation_that_was_killed_anywhere_is_mended_by_repeating_it(
    door: Door, me: str, at: int, after: bool
) -> None:
    await door.post("/v1/registrations", {"email": me, "password": PASSWORD})
    token = await door.token(me, "Confirm your address")
    body = {"token": token, "password": PASSWORD, "device": TELEVISION}
    with killed(door, at, after=after):
        assert (await door.post("/v1/registrations/confirm", body)).status_code == 503
    repeated = await door.post("/v1/registrations/confirm", body)
    assert repeated.status_code == 201
    types = await door.types(f"identity.account-{repeated.json()['account_id']}")
    assert types.count("identity.AccountRegistered.v1") == types.count("identity.DeviceRegistered.v1") == 1
    assert await grants_of(door, repeated.json()["account_id"]) == 1


@pytest.mark.parametrize("after", [False, True])
async def test_a_reset_that_was_killed_left_the_old_password_or_the_new_one(door: Door, me: str, after: bool) -> None:
    mine = await door.registered(me)
    await door.post("/v1/password-resets", {"email": me})
    body = {"token": await door.token(me, "Choose another password"), "password": ANOTHER}
    with killed(door, 1, after=after):
        assert (await door.post("/v1/password-resets/confirm", body)).status_code == 503
    repeated = await door.post("/v1/password-resets/confirm", body)
    assert repeated.status_code == (400 if after else 204)
    device = {**TELEVISION, "device_id": mine["device_id"]}
    assert (await door.sign_in(me, ANOTHER, device=device)).status_code == 200


async def test_useless_mail_does_not_keep_an_owner_from_useful_mail(door: Door, me: str) -> None:
    await door.registered(me)
    for _ in range(8):
        await door.post("/v1/registrations", {"email": me, "password": ANOTHER})
    await door.post("/v1/password-resets", {"email": me})
    assert await door.mail(me, "Choose another password")


async def test_asking_for_links_too_often_leaves_the_last_that_was_sent(door: Door, me: str) -> None:
    await door.registered(me)
    for _ in range(8):
        await door.post("/v1/password-resets", {"email": me})
    token = await door.token(me, "Choose another password", 5)
    await door.sent()
    assert len(await door.mail(me, "Choose another password", 5)) == 5
    reset = await door.post("/v1/password-resets/confirm", {"token": token, "password": ANOTHER})
    assert reset.status_code == 204


async def test_accounts_work_while_redis_is_away_and_guesses_are_counted_here(
    live: Settings, door: Door, me: str
) -> None:
    # Both send the mail of both.
    async with opened_door(live, door.pool, door.mail_dir, redis_url="redis://127.0.0.1:1/0") as lonely:
        await lonely.registered(me)
        replies = [await lonely.sign_in(me, f"wrong-{n}") for n in range(6)]
        assert [reply.status_code for reply in replies] == [401] * 5 + [429]


async def test_mail_to_one_address_is_limited_and_the_reply_does_not_tell(door: Door, me: str) -> None:
    replies = [await door.post("/v1/registrations", {"email": me, "password": PASSWORD}) for _ in range(8)]
    assert {(reply.status_code, reply.content) for reply in replies} == {(202, replies[0].content)}
    await door.sent()
    assert len(await door.mail(me, "Confirm your address", 5)) == 5


# Passwords


async def test_a_changed_password_ends_every_other_sign_in_and_keeps_the_callers(door: Door, me: str) -> None:
    tv = await door.registered(me)
    phone = (await door.sign_in(me)).json()
    path = f"/v1/accounts/{tv['account_id']}/password"
    body = {"current_password": PASSWORD, "new_password": ANOTHER}
    changed = await door.post(path, body, phone["access_token"], **{"Idempotency-Key": "once"})
    assert changed.json()["events"] == ["PasswordChanged", "SignedOut"]
    again = await door.post(path, body, phone["access_token"], **{"Idempotency-Key": "once"})
    assert (again.status_code, again.json()) == (200, changed.json())
    assert problem(await door.sign_in(me)) == (401, "credentials-wrong")
    device = {**TELEVISION, "device_id": phone["device_id"]}
    assert (await door.sign_in(me, ANOTHER, device=device)).status_code == 200
    assert await grants_of(door, tv["account_id"]) == 1
    assert await door.mail(me, "Your password was changed")


async def grants_of(door: Door, account_id: str) -> int:
    """How many sign-ins of an account last."""
    count: int = await door.pool.fetchval("select count(*) from identity_grants where account_id = $1", account_id)
    return count


async def test_a_password_is_changed_only_by_who_knows_it_and_only_to_a_strong_one(door: Door, me: str) -> None:
    mine = await door.registered(me)
    path = f"/v1/accounts/{mine['account_id']}/password"
    wrong = await door.post(path, {"current_password": "wrong", "new_password": ANOTHER}, mine["access_token"])
    assert problem(wrong) == (403, "password-wrong")
    weak = await door.post(path, {"current_password": PASSWORD, "new_password": "password1"}, mine["access_token"])
    assert problem(weak) == (422, "password-weak")
    assert weak.json()["reasons"]
    assert (await door.sign_in(me)).status_code == 200


async def test_of_two_changes_of_a_password_at_the_same_time_one_counts(door: Door, me: str) -> None:
    mine = await door.registered(me)
    path = f"/v1/accounts/{mine['account_id']}/password"
    replies = await asyncio.gather(
        *(
            door.post(path, {"current_password": PASSWORD, "new_password": f"{ANOTHER}-{n}"}, mine["access_token"])
            for n in range(3)
        )
    )
    assert sorted(reply.status_code for reply in replies) == [200, 403, 403]


async def test_a_forgotten_password_is_replaced_by_mail_once_and_every_device_is_signed_out(
    door: Door, me: str
) -> None:
    mine = await door.registered(me)
    unknown = await door.post("/v1/password-resets", {"email": f"nobody-{me}"})
    known = await door.post("/v1/password-resets", {"email": me.upper()})
    assert (unknown.status_code, unknown.content) == (known.status_code, known.content) == (202, known.content)
    token = await door.token(me, "Choose another password")
    body = {"token": token, "password": ANOTHER}
    assert (await door.post("/v1/password-resets/confirm", body)).status_code == 204
    assert await grants_of(door, mine["account_id"]) == 0
    assert problem(await door.post("/v1/password-resets/confirm", body)) == (400, "one-time-token-invalid")
    assert problem(await door.sign_in(me)) == (401, "credentials-wrong")
    device = {**TELEVISION, "device_id": mine["device_id"]}
    assert (await door.sign_in(me, ANOTHER, device=device)).status_code == 200


async def test_a_new_link_replaces_the_one_before(door: Door, me: str) -> None:
    await door.registered(me)
    await door.post("/v1/password-resets", {"email": me})
    first = await door.token(me, "Choose another password")
    await door.post("/v1/password-resets", {"email": me})
    second = await door.token(me, "Choose another password", 2)
    body = {"password": ANOTHER}
    refused = await door.post("/v1/password-resets/confirm", {**body, "token": first})
    assert problem(refused) == (400, "one-time-token-invalid")
    assert (await door.post("/v1/password-resets/confirm", {**body, "token": second})).status_code == 204


async def test_a_weak_password_does_not_use_up_the_link(door: Door, me: str) -> None:
    await door.registered(me)
    await door.post("/v1/password-resets", {"email": me})
    token = await door.token(me, "Choose another password")
    weak = await door.post("/v1/password-resets/confirm", {"token": token, "password": me})
    assert problem(weak) == (422, "password-weak")
    good = await door.post("/v1/password-resets/confirm", {"token": token, "password": ANOTHER})
    assert good.status_code == 204


async def test_a_link_is_followed_by_one_of_those_who_follow_it_at_the_same_time(door: Door, me: str) -> None:
    await door.registered(me)
    await door.post("/v1/password-resets", {"email": me})
    token = await door.token(me, "Choose another password")
    replies = await asyncio.gather(
        *(door.post("/v1/password-resets/confirm", {"token": token, "password": f"{ANOTHER}-{n}"}) for n in range(3))
    )
    assert sorted(reply.status_code for reply in replies) == [204, 400, 400]


async def test_an_expired_link_is_refused(door: Door, me: str) -> None:
    await door.registered(me)
    await door.post("/v1/password-resets", {"email": me})
    token = await door.token(me, "Choose another password")
    await door.pool.execute("update identity_one_time_tokens set expires_at = now() where purpose = 'password_reset'")
    refused = await door.post("/v1/password-resets/confirm", {"token": token, "password": ANOTHER})
    assert problem(refused) == (400, "one-time-token-invalid")


async def test_a_token_does_only_what_it_was_sent_for(door: Door, me: str) -> None:
    await door.registered(me)
    await door.post("/v1/password-resets", {"email": me})
    token = await door.token(me, "Choose another password")
    assert problem(await door.post("/v1/email-changes/confirm", {"token": token})) == (400, "one-time-token-invalid")
    confirmed = await door.post(
        "/v1/registrations/confirm", {"token": token, "password": PASSWORD, "device": TELEVISION}
    )
    assert problem(confirmed) == (400, "one-time-token-invalid")


async def test_a_hash_of_another_cost_is_replaced_at_sign_in(door: Door, me: str) -> None:
    account_id = (await door.registered(me))["account_id"]
    cheap = await Passwords(Settings(password_hash_memory_kib=16, password_hash_passes=3)).hash(PASSWORD)
    change = "update identity_credentials set password_hash = $2 where account_id = $1"
    await door.pool.execute(change, account_id, cheap)
    assert (await door.sign_in(me)).status_code == 200
    select = "select password_hash from identity_credentials where account_id = $1"
    assert "m=8,t=1" in await door.pool.fetchval(select, account_id)


# Throttling


async def test_guesses_are_refused_after_some_also_the_right_one_and_it_is_told_when_to_come_back(
    door: Door, me: str
) -> None:
    await door.registered(me)
    replies = [await door.sign_in(me, f"wrong-{n}") for n in range(6)]
    assert [reply.status_code for reply in replies] == [401] * 5 + [429]
    right = await door.sign_in(me)
    assert problem(right) == (429, "too-many-attempts")
    assert 0 < int(right.headers["Retry-After"]) <= 900


async def test_an_address_without_an_account_is_throttled_just_so(door: Door, me: str) -> None:
    replies = [await door.sign_in(me, f"wrong-{n}") for n in range(6)]
    assert [reply.status_code for reply in replies] == [401] * 5 + [429]


async def test_guesses_at_the_same_time_count_too(door: Door, me: str) -> None:
    await door.registered(me)
    replies = await asyncio.gather(*(door.sign_in(me, f"wrong-{n}") for n in range(20)))
    assert sorted(reply.status_code for reply in replies) == [401] * 5 + [429] * 15


async def test_signing_in_does_not_count(door: Door, me: str) -> None:
    device = {**TELEVISION, "device_id": (await door.registered(me))["device_id"]}
    replies = [await door.sign_in(me, device=device) for _ in range(8)]
    assert {reply.status_code for reply in replies} == {200}


async def test_a_device_that_was_signed_in_is_let_in_while_strangers_guess(door: Door, me: str) -> None:
    mine = await door.registered(me)
    for n in range(6):
        await door.sign_in(me, f"wrong-{n}")
    device = {**TELEVISION, "device_id": mine["device_id"]}
    assert (await door.sign_in(me, device=device)).status_code == 429
    known = await door.sign_in(me, device=device, device_token=mine["device_token"])
    assert known.status_code == 200
    for n in range(6):
        last = await door.sign_in(me, f"wrong-{n}", device=device, device_token=mine["device_token"])
    assert last.status_code == 429


async def test_a_device_token_of_another_account_says_nothing(door: Door, me: str) -> None:
    other = await door.registered(f"other-{me}")
    await door.registered(me)
    for n in range(6):
        last = await door.sign_in(me, f"wrong-{n}", device_token=other["device_token"])
    assert last.status_code == 429


async def test_a_password_reset_lets_in_whom_strangers_locked_out(door: Door, me: str) -> None:
    mine = await door.registered(me)
    for n in range(6):
        await door.sign_in(me, f"wrong-{n}")
    await door.post("/v1/password-resets", {"email": me})
    token = await door.token(me, "Choose another password")
    await door.post("/v1/password-resets/confirm", {"token": token, "password": ANOTHER})
    device = {**TELEVISION, "device_id": mine["device_id"]}
    assert (await door.sign_in(me, ANOTHER, device=device)).status_code == 200


# Addresses


async def test_an_address_is_changed_when_the_new_one_is_proved_and_the_old_one_gets_a_notice(
    door: Door, me: str
) -> None:
    mine = await door.registered(me)
    new = f"new-{me}"
    path = f"/v1/accounts/{mine['account_id']}/email"
    wrong = await door.post(path, {"password": "wrong", "email": new}, mine["access_token"])
    assert problem(wrong) == (403, "password-wrong")
    asked = await door.post(path, {"password": PASSWORD, "email": new}, mine["access_token"])
    assert asked.status_code == 202
    device = {**TELEVISION, "device_id": mine["device_id"]}
    assert (await door.sign_in(me, device=device)).status_code == 200
    token = await door.token(new, "Confirm your new address")
    confirmed = await door.post("/v1/email-changes/confirm", {"token": token})
    assert confirmed.json()["events"] == ["EmailChanged"]
    assert problem(await door.sign_in(me)) == (401, "credentials-wrong")
    assert (await door.sign_in(new, device=device)).status_code == 200
    assert await door.mail(me, "Your account has another address")
    again = await door.post("/v1/email-changes/confirm", {"token": token})
    assert problem(again) == (400, "one-time-token-invalid")


async def test_an_address_that_has_an_account_is_not_told_to_who_asks_for_it(door: Door, me: str) -> None:
    taken = f"taken-{me}"
    await door.registered(taken)
    mine = await door.registered(me)
    path = f"/v1/accounts/{mine['account_id']}/email"
    replies = [
        await door.post(path, {"password": PASSWORD, "email": email}, mine["access_token"])
        for email in (taken, f"free-{me}")
    ]
    assert {(reply.status_code, reply.content) for reply in replies} == {(202, replies[0].content)}
    assert await door.mail(taken, "You have an account")


async def test_an_address_that_was_registered_meanwhile_is_not_taken_away(door: Door, me: str) -> None:
    mine, new = await door.registered(me), f"new-{me}"
    path = f"/v1/accounts/{mine['account_id']}/email"
    await door.post(path, {"password": PASSWORD, "email": new}, mine["access_token"])
    token = await door.token(new, "Confirm your new address")
    await door.registered(new)
    assert problem(await door.post("/v1/email-changes/confirm", {"token": token})) == (409, "account-exists")
    assert (await door.sign_in(me)).status_code == 200


# Withdrawal


async def test_a_withdrawn_account_is_erased_and_its_address_is_free_again(door: Door, me: str) -> None:
    mine = await door.registered(me)
    account_id, path = mine["account_id"], f"/v1/accounts/{mine['account_id']}/withdraw"
    wrong = await door.post(path, {"password": "wrong"}, mine["access_token"])
    assert problem(wrong) == (403, "password-wrong")
    done = await door.post(path, {"password": PASSWORD}, mine["access_token"])
    assert done.json()["events"] == ["SignedOut", "DeviceRemoved", "AccountWithdrawn", "PersonErased"]
    assert await door.pool.fetchval("select wrapped is null from person_key where person_id = $1", account_id)
    for table in ("identity_credentials", "identity_grants", "identity_profile_access", "identity_one_time_tokens"):
        assert await door.pool.fetchval(f"select count(*) from {table} where account_id = $1", account_id) == 0
    again = await door.post(path, {"password": PASSWORD}, mine["access_token"])
    assert (again.status_code, again.json()["events"]) == (200, [])
    assert problem(await door.sign_in(me)) == (401, "credentials-wrong")
    assert await door.mail(me, "Your account is closed")
    assert (await door.registered_again(me, 2))["account_id"] != account_id


async def test_a_withdrawal_that_was_killed_after_the_subscription_ended_is_repeated(door: Door, me: str) -> None:
    mine = await door.registered(me)
    told: list[str] = []
    composed = door.app.state.on_withdrawal

    async def killed(account_id: str, context: object) -> None:
        await composed(account_id, context)
        told.append(account_id)
        if len(told) == 1:
            raise ConnectionError("killed")

    door.app.state.on_withdrawal = killed
    try:
        path = f"/v1/accounts/{mine['account_id']}/withdraw"
        first = await door.post(path, {"password": PASSWORD}, mine["access_token"])
        assert problem(first) == (503, "store-unavailable")
        assert (await door.sign_in(me)).status_code == 200
        second = await door.post(path, {"password": PASSWORD}, mine["access_token"])
        assert "AccountWithdrawn" in second.json()["events"]
    finally:
        door.app.state.on_withdrawal = composed
    assert told == [mine["account_id"]] * 2


async def test_a_withdrawal_ends_the_subscription(door: Door, me: str) -> None:
    mine = await door.registered(me)
    billing = door.mint(Principal(subject="billing-1", roles=("billing",)))
    plan_id = f"p{new_id()[-12:]}"
    plan = {
        "plan_id": plan_id,
        "name": "Free",
        "prices": [{"period": "month", "price": {"amount_minor": 0, "currency": "EUR"}}],
        "trial_days": 7,
        "limits": {"streams": 1, "max_resolution": "1080p", "profiles": 5, "downloads": 0, "ads": False},
    }
    (await door.post("/v1/plans", plan, billing, **{"Idempotency-Key": plan_id})).raise_for_status()
    subscription = {"plan_id": plan_id, "period": "month", "currency": "EUR", "time_zone": "UTC"}
    headers = {"Idempotency-Key": new_id()}
    (await door.post("/v1/subscriptions", subscription, mine["access_token"], **headers)).raise_for_status()
    path = f"/v1/accounts/{mine['account_id']}/withdraw"
    (await door.post(path, {"password": PASSWORD}, mine["access_token"])).raise_for_status()
    types = await door.types(f"subscription.account-{mine['account_id']}")
    assert types[-2:] == ["subscription.SubscriptionCanceled.v1", "subscription.SubscriptionExpired.v1"]


# Staff

OPERATOR = Principal(subject="operator-1", roles=("operator",))


async def test_an_operator_grants_a_role_which_the_next_access_token_has(door: Door, me: str) -> None:
    mine = await door.registered(me)
    path = f"/v1/accounts/{mine['account_id']}/roles"
    granted = await door.post(path, {"role": "editor"}, door.mint(OPERATOR))
    assert granted.json()["events"] == ["RoleGranted"]
    assert (await door.post(path, {"role": "editor"}, door.mint(OPERATOR))).json()["events"] == []
    device = {**TELEVISION, "device_id": mine["device_id"]}
    assert "catalog:write" in (await door.sign_in(me, device=device)).json()["scope"].split()
    revoked = await door.post(f"{path}/editor/revoke", {}, door.mint(OPERATOR))
    assert revoked.json()["events"] == ["RoleRevoked"]
    assert "catalog:write" not in (await door.sign_in(me, device=device)).json()["scope"].split()


async def test_nobody_grants_a_role_to_themselves_or_without_the_scope_for_it(door: Door, me: str) -> None:
    mine = await door.registered(me)
    path = f"/v1/accounts/{mine['account_id']}/roles"
    (await door.post(path, {"role": "operator"}, door.mint(OPERATOR))).raise_for_status()
    own = (await door.sign_in(me)).json()["access_token"]
    assert problem(await door.post(path, {"role": "billing"}, own)) == (409, "role-for-oneself")
    assert problem(await door.post(path, {"role": "billing"}, mine["access_token"])) == (403, "scope-missing")
    assert problem(await door.post(path, {"role": "king"}, door.mint(OPERATOR))) == (422, "invalid-request")
    unknown = await door.post(f"/v1/accounts/a{new_id()}/roles", {"role": "editor"}, door.mint(OPERATOR))
    assert problem(unknown) == (404, "account-unknown")


async def test_the_command_line_makes_the_first_operator(door: Door, me: str) -> None:
    mine = await door.registered(me)
    settings = door.app.state.resources.settings
    for times in range(2):
        assert await asyncio.to_thread(run, settings, me.upper(), Role.OPERATOR, granted=True) == 0, times
    device = {**TELEVISION, "device_id": mine["device_id"]}
    assert "staff:write" in (await door.sign_in(me, device=device)).json()["scope"].split()
    assert await asyncio.to_thread(run, settings, me, Role.OPERATOR, granted=False) == 0
    types = await door.types(f"identity.account-{mine['account_id']}")
    assert [each for each in types if "Role" in each] == ["identity.RoleGranted.v1", "identity.RoleRevoked.v1"]
    assert await asyncio.to_thread(run, settings, f"nobody-{me}", Role.OPERATOR, granted=True) == 1
    assert await asyncio.to_thread(run, settings, "no address", Role.OPERATOR, granted=True) == 1
