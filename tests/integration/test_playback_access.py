"""What playback checks of its caller, on real servers: the device, the maturity limit, and devices that are gone."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from infra.access.permissions import Principal, Scope
from infra.access.revocations import DEVICE, KEY
from infra.clock import utc_now
from infra.ids import new_id
from infra.postgres import Pool
from infra.redis import connect
from infra.settings import Settings
from tests.integration.households import House, Household, problem, running_house
from tests.integration.projection_workers import eventually
from tests.integration.showing import shown

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
async def house(live: Settings) -> AsyncIterator[House]:
    async with running_house(live, revocations_poll_s=0.05) as house:
        yield house


@pytest.fixture
async def home(house: House) -> Household:
    return await house.household()


@pytest.fixture(scope="module")
async def films(postgres: Pool) -> dict[int | None, str]:
    """Films in the read model, by the age that they are rated for."""
    run, ages = new_id()[-12:], (0, 7, 12, 19, None)
    for age in ages:
        await postgres.execute(
            """insert into catalog_titles (title_id, kind, name, synopsis, duration_ms, minimum_age, availability,
                   seasons, published_at)
               values ($1, 'movie', 'Film', '', 888000, $2, '[]', '[]', now())""",
            f"{run}-{age}",
            age,
        )
    await shown(postgres, *(f"{run}-{age}" for age in ages))
    return {age: f"{run}-{age}" for age in ages}


async def start(home: Household, title_id: str, device_id: str | None = None) -> httpx.Response:
    device = {"device_id": device_id or home.tokens["device_id"], "type": "tv"}
    return await home.post("/v1/playback/sessions", title_id=title_id, device=device)


async def watching(home: Household, title_id: str) -> dict[str, Any]:
    """A session that was started."""
    reply: dict[str, Any] = (await start(home, title_id)).raise_for_status().json()
    return reply


async def report(house: House, session: dict[str, Any], path: str = "events") -> httpx.Response:
    now = utc_now().isoformat()
    beat = {"seq": 0, "at": now, "position_ms": 1_000}
    body = {"sent_at": now, "events": [{"type": "heartbeat", **beat}]} if path == "events" else {"sent_at": now, **beat}
    return await house.client.post(
        f"/v1/playback/sessions/{session['session_id']}/{path}",
        json=body,
        headers={"Authorization": f"Bearer {session['playback_token']}"},
    )


async def test_a_profile_plays_on_the_device_that_it_signed_in_on(
    home: Household, films: dict[int | None, str]
) -> None:
    assert problem(await start(home, films[0])) == (403, "profile-required")
    chosen = await home.choosing(await home.profile())
    kitchen = await home.signed_in("Kitchen")
    elsewhere = await start(chosen, films[0], kitchen.tokens["device_id"])
    assert problem(elsewhere) == (403, "device-not-yours")
    assert elsewhere.json()["device_id"] == chosen.tokens["device_id"]
    session = await watching(chosen, films[0])
    assert (await report(home.house, session)).json()["results"][0]["status"] == "ok"


async def test_a_token_that_is_bound_to_no_device_names_any(house: House, films: dict[int | None, str]) -> None:
    by_hand = Principal(subject="dev", account_id="account-1", profile_id="profile-1")
    tokens = {"access_token": house.app.state.tokens.mint_access(by_hand), "device_id": "tv-1"}
    home = (await house.household()).using(tokens)
    assert (await start(home, films[19])).status_code == 201


async def test_playing_needs_its_scope(house: House, films: dict[int | None, str]) -> None:
    narrow = Principal(subject="v", account_id="a", profile_id="p", scopes=frozenset({Scope.WATCHING}))
    home = (await house.household()).using({"access_token": house.app.state.tokens.mint_access(narrow)})
    assert problem(await start(home, films[0])) == (403, "scope-missing")


@pytest.mark.parametrize(
    ("limit", "age", "plays"),
    [(7, 0, True), (7, 7, True), (7, 12, False), (0, 0, True), (0, 7, False), (None, 19, True), (None, None, True)],
)
async def test_a_profile_plays_what_its_limit_allows(
    home: Household, films: dict[int | None, str], limit: int | None, age: int | None, *, plays: bool
) -> None:
    child = await home.choosing(await home.profile(maturity_limit=limit))
    reply = await start(child, films[age])
    assert (reply.status_code == 201) if plays else (problem(reply) == (403, "pin-required"))


async def test_what_is_above_the_limit_plays_once_the_pin_was_given(
    home: Household, films: dict[int | None, str]
) -> None:
    profile_id = await home.protected(await home.profile(kids=True, maturity_limit=7))
    child = await home.choosing(profile_id, pin="4711")
    refused = (await start(child, films[19])).json()
    assert (refused["minimum_age"], refused["maturity_limit"]) == (19, 7)
    unlocked = child.using((await child.post(refused["unlock"], pin="4711")).raise_for_status().json())
    assert (await start(unlocked, films[19])).status_code == 201
    assert problem(await start(child, films[19])) == (403, "pin-required")  # the other token is as it was


async def test_what_nobody_rated_is_above_every_limit(home: Household, films: dict[int | None, str]) -> None:
    teen = await home.choosing(await home.profile(maturity_limit=21))
    refused = await start(teen, films[None])
    assert (problem(refused), refused.json()["minimum_age"]) == ((403, "pin-required"), None)


async def test_a_title_that_is_none_is_unknown_and_no_code(home: Household) -> None:
    child = await home.choosing(await home.profile(maturity_limit=7))
    assert problem(await start(child, "no-such-film")) == (404, "title-unknown")
    for title_id in ("x'; drop table catalog_titles;--", "nul\x00", "x\u202e", "$1", ""):
        assert problem(await start(child, title_id)) == (422, "invalid-request"), repr(title_id)


async def test_the_streams_of_a_removed_device_end_and_those_of_others_go_on(
    home: Household, live: Settings, films: dict[int | None, str]
) -> None:
    chosen = await home.choosing(await home.profile())
    kitchen = await (await home.signed_in("Kitchen")).choosing(chosen.tokens["profile_id"])
    ending, lasting = await watching(kitchen, films[0]), await watching(chosen, films[0])
    assert (await report(home.house, ending)).status_code == 200
    assert (await home.post(f"/devices/{kitchen.tokens['device_id']}/remove")).status_code == 200
    await projected(live, kitchen.tokens["device_id"])

    async def ended() -> bool:
        return (await report(home.house, ending)).status_code == 410

    await eventually(ended)
    for path in ("events", "stop"):
        refused = await report(home.house, ending, path)
        assert (problem(refused), refused.json()["reason"]) == ((410, "session-terminated"), "device_removed")
    assert (await report(home.house, lasting)).status_code == 200
    assert problem(await start(kitchen, films[0])) == (401, "unauthenticated")
    unbound = Principal(subject="dev", account_id=home.account_id, profile_id=chosen.tokens["profile_id"])
    by_hand = home.using({"access_token": home.house.app.state.tokens.mint_access(unbound)})
    assert problem(await start(by_hand, films[0], kitchen.tokens["device_id"])) == (403, "device-not-yours")


async def projected(live: Settings, device_id: str) -> None:
    """As the projection identity_revoked puts it into Redis."""
    redis = connect(live)
    value = f'1:{int(utc_now().timestamp() * 1000)}:{{"at": "{utc_now().isoformat()}"}}'
    await redis.hset(KEY, DEVICE + device_id, value)
    await redis.aclose()


async def test_a_session_can_still_be_named_by_the_player(home: Household, films: dict[int | None, str]) -> None:
    chosen = await home.choosing(await home.profile())
    session_id = str(uuid4())
    device = {"device_id": chosen.tokens["device_id"], "type": "tv"}
    body = {"title_id": films[0], "device": device, "session_id": session_id}
    assert (await chosen.post("/v1/playback/sessions", **body)).json()["session_id"] == session_id
    assert problem(await chosen.post("/v1/playback/sessions", **body)) == (409, "session-already-started")
