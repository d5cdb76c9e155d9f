"""A person is erased: the key and the certificate in one transaction, whoever commands meanwhile, for good."""

import asyncio
import os
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from audits.erasures import certificate_of
from audits.personal import ERASED, Personal
from audits.verifying.findings import Finding
from audits.verifying.of_log import LogCheck
from events.envelope import decode
from events.identity import PersonErased
from events.registry import REGISTRY
from infra import settings as settings_module
from infra.access.permissions import Principal
from infra.event_log import partition_of
from infra.ids import new_id
from infra.person_keys import PersonKeys
from infra.personal_data import SEALED, MasterKey
from infra.postgres import Pool, Role, connect_pool
from infra.settings import Settings
from playhead.cli import app
from tests.integration.identity_door import PASSWORD, Door, opened_door, problem

pytestmark = pytest.mark.integration

OPERATOR = Principal(subject="operator-7", roles=("operator",))
BODIES = "select body from event_log where stream_id = $1 order by version"
ADD_PROFILE = """
    insert into identity_profiles (account_id, profile_id, name, language, kids, has_pin, preferences, created_at)
    values ($1, $2, $3, 'nl', false, false, '{}', now())
"""
HALF = """
    select k.wrapped is null as gone,
           exists (select from event_log where stream_id = 'identity.account-' || k.person_id
                                           and type = 'identity.PersonErased.v1') as certified
    from person_key as k where k.person_id = $1
"""


@pytest.fixture(scope="module")
async def door(live: Settings, postgres: Pool, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    async with opened_door(live, postgres, tmp_path_factory.mktemp("mail")) as opened:
        yield opened


@pytest.fixture
async def auditors(live: Settings) -> AsyncIterator[Pool]:
    """A pool of those who audit."""
    pool = await connect_pool(live, role=Role.AUDITS, size=2)
    yield pool
    await pool.close()


@pytest.fixture
def installed(live: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Awaitable[tuple[int, str]]]]:
    """`playhead audit` with the settings of the installation: its exit status, and what it said."""
    for name in ("state_dir", "postgres_dsn", "kafka_bootstrap"):
        monkeypatch.setenv(f"PLAYHEAD_{name.upper()}", str(getattr(live, name)))
    settings_module.settings.cache_clear()

    async def run(*arguments: str) -> tuple[int, str]:
        result = await asyncio.to_thread(CliRunner().invoke, app, ["audit", *arguments])
        return result.exit_code, result.output

    yield run
    settings_module.settings.cache_clear()


@pytest.fixture
def email() -> str:
    return f"bea-{new_id()[-12:]}@example.com"


async def erase(door: Door, account_id: str, **body: str) -> Any:
    return await door.post(f"/v1/accounts/{account_id}/erase", {"ground": "order", **body}, door.mint(OPERATOR))


async def bodies(door: Door, account_id: str) -> list[bytes]:
    return [row["body"] for row in await door.pool.fetch(BODIES, f"identity.account-{account_id}")]


def sealed(events: list[bytes]) -> list[bytes]:
    """The data of those that hold sealed values."""
    data = [bytes(decode(body).data) for body in events]
    return [each for each in data if SEALED.search(each.decode())]


async def test_staff_erase_a_person_and_the_log_certifies_it(
    door: Door, auditors: Pool, live: Settings, email: str
) -> None:
    account_id = (await door.registered(email))["account_id"]
    wrapped = await door.pool.fetchval("select wrapped from person_key where person_id = $1", account_id)
    key = MasterKey.load(live).unwrap(wrapped, account_id)
    assert key is not None
    done = await erase(door, account_id, reference="case 7")
    assert done.json()["events"] == ["SignedOut", "DeviceRemoved", "AccountWithdrawn", "PersonErased"]
    certificate = await certificate_of(auditors, account_id)
    assert certificate is not None and certificate.holds
    assert (certificate.principal, certificate.ground, certificate.reference) == ("operator-7", "order", "case 7")
    assert certificate.key_fingerprint == key.fingerprint
    assert certificate.sealed_events == len(sealed(await bodies(door, account_id))) == 2
    head = await door.pool.fetchrow(
        "select l.digest, l.hash, p.hash as before from event_log as l join event_log as p"
        " on p.partition = l.partition and p.position = l.position - 1 where l.event_id = $1::text::uuid",
        certificate.event_id,
    )
    assert head is not None and (head["digest"].hex(), head["hash"].hex()) == (certificate.digest, certificate.hash)
    assert problem(await door.sign_in(email)) == (401, "credentials-wrong")


async def test_erasing_twice_is_ignored(door: Door, email: str) -> None:
    account_id = (await door.registered(email))["account_id"]
    assert (await erase(door, account_id)).json()["events"]
    before = await bodies(door, account_id)
    again = await erase(door, account_id, ground="retention")
    assert (again.status_code, again.json()["events"]) == (200, [])
    assert await bodies(door, account_id) == before


async def test_nobody_is_erased_who_is_not_there(door: Door) -> None:
    assert problem(await erase(door, new_id())) == (404, "account-unknown")


async def test_a_person_who_asked_is_told_by_a_last_letter(door: Door, email: str) -> None:
    account_id = (await door.registered(email))["account_id"]
    assert (await erase(door, account_id, ground="request")).status_code == 200
    assert await door.mail(email, "Your account is closed")


async def test_who_leaves_is_certified_as_having_asked(door: Door, auditors: Pool, email: str) -> None:
    mine = await door.registered(email)
    path = f"/v1/accounts/{mine['account_id']}/withdraw"
    assert (await door.post(path, {"password": PASSWORD}, mine["access_token"])).status_code == 200
    certificate = await certificate_of(auditors, mine["account_id"])
    assert certificate is not None and certificate.holds
    assert (certificate.ground, certificate.principal) == ("request", mine["account_id"])
    assert certificate.client_address is None


async def test_a_key_that_cannot_be_opened_is_destroyed_as_well(door: Door, auditors: Pool, email: str) -> None:
    account_id = (await door.registered(email))["account_id"]
    _, lost = MasterKey.alone(b"lost").new_person(account_id)
    await door.pool.execute("update person_key set wrapped = $2 where person_id = $1", account_id, lost)
    assert (await erase(door, account_id, ground="request")).status_code == 200
    certificate = await certificate_of(auditors, account_id)
    assert certificate is not None and (certificate.holds, certificate.key_fingerprint) == (True, None)


async def test_a_key_that_a_restore_brought_back_is_told_and_destroyed_again(
    door: Door, auditors: Pool, email: str
) -> None:
    account_id = (await door.registered(email))["account_id"]
    restored = await door.pool.fetchval("select wrapped from person_key where person_id = $1", account_id)
    await erase(door, account_id)
    await door.pool.execute("update person_key set wrapped = $2 where person_id = $1", account_id, restored)
    certificate = await certificate_of(auditors, account_id)
    assert certificate is not None and not certificate.holds
    assert (await erase(door, account_id)).json()["events"] == []
    certificate = await certificate_of(auditors, account_id)
    assert certificate is not None and certificate.holds


async def test_an_erasure_among_commands_in_flight_is_whole_and_the_last_that_happens(door: Door, email: str) -> None:
    mine = await door.registered(email)
    account_id, token = mine["account_id"], mine["access_token"]
    path, over = f"/v1/accounts/{account_id}", asyncio.Event()
    seen: set[tuple[bool, bool]] = set()

    async def look() -> None:
        while not over.is_set():
            row = await door.pool.fetchrow(HALF, account_id)
            assert row is not None
            seen.add((row["gone"], row["certified"]))

    async def rename(lane: int) -> set[int]:
        statuses: set[int] = set()
        while not (over.is_set() and 410 in statuses):
            body = {"name": f"Den {lane} {new_id()}"}
            reply = await door.post(f"{path}/devices/{mine['device_id']}/rename", body, token)
            statuses.add(reply.status_code)
            if lane == 0 and 200 in statuses and not erasing:
                erasing.append(asyncio.ensure_future(erase(door, account_id)))
            if erasing and erasing[0].done():
                over.set()
        return statuses

    erasing: list[asyncio.Future[Any]] = []
    watching = asyncio.ensure_future(look())
    statuses = {status for lane in await asyncio.gather(*(rename(lane) for lane in range(4))) for status in lane}
    await watching
    assert (await erasing[0]).json()["events"][-1] == "PersonErased"
    assert statuses == {200, 410}
    assert seen <= {(False, False), (True, True)}
    events = [REGISTRY.decode(body).data for body in await bodies(door, account_id)]
    assert [type(event) for event in events].count(PersonErased) == 1
    assert isinstance(events[-1], PersonErased)
    assert events[-1].sealed_events == len(sealed(await bodies(door, account_id)))


async def test_history_shows_what_was_personal_until_the_erasure_and_marks_it_since(
    door: Door, auditors: Pool, live: Settings, email: str
) -> None:
    account_id = (await door.registered(email))["account_id"]
    personal = Personal(PersonKeys(auditors, MasterKey.load(live), kept=10), reader="auditor-1", purpose="a test")
    history = await bodies(door, account_id)
    shown = [msgspec.json.decode(each.body)["data"] for each in await personal.open(history)]
    assert (shown[0]["email"], shown[1]["device"]["name"]) == (email, "Den")
    await erase(door, account_id)
    assert (await bodies(door, account_id))[: len(history)] == history  # not a byte of it has changed
    marked = [msgspec.json.decode(each.body)["data"] for each in await personal.open(history)]
    assert (marked[0]["email"], marked[1]["device"]["name"]) == (ERASED, ERASED)
    assert {**marked[0], "email": email} == shown[0]


async def test_everything_that_is_held_about_a_person_is_exported_opened_until_they_are_erased(
    door: Door, live: Settings, email: str, installed: Callable[..., Awaitable[tuple[int, str]]], tmp_path: Path
) -> None:
    account_id = (await door.registered(email))["account_id"]
    other = (await door.registered(f"other-{email}"))["account_id"]
    for whose, name in ((account_id, "Anna"), (other, "Bo")):
        await door.pool.execute(ADD_PROFILE, whose, new_id(), await sealed_for(door, live, whose, name))
    command = ("export", "--person", account_id, "--without", "kafka", "--without", "archive")
    status, written = await installed(*command)
    assert status == 0, written
    lines = [msgspec.json.decode(line) for line in written.splitlines() if line.startswith("{")]
    assert [line["kind"] for line in (lines[0], lines[-1])] == ["person", "end"]
    events = [line["event"] for line in lines if line["kind"] == "event"]
    assert [event["type"] for event in events] == await door.types(f"identity.account-{account_id}")
    assert events[0]["data"]["email"] == email
    [profile] = [line["row"] for line in lines if line.get("view") == "identity_profiles"]
    assert profile["name"] == "Anna"
    assert other not in written and "p1." not in written
    await erase(door, account_id)
    file = tmp_path / "person.zip"
    assert (await installed(*command, "--output", str(file)))[0] == 0
    with zipfile.ZipFile(file) as zipped:
        after = zipped.read("person.jsonl").decode()
    assert email not in after and "Anna" not in after and "PersonErased" in after
    assert msgspec.json.decode(after.splitlines()[0])["erased_at"] is not None
    assert after.count('{"erased":true}') >= 3
    assert os.listdir(tmp_path) == ["person.zip"]


async def sealed_for(door: Door, live: Settings, account_id: str, text: str) -> str:
    wrapped = await door.pool.fetchval("select wrapped from person_key where person_id = $1", account_id)
    key = MasterKey.load(live).unwrap(wrapped, account_id)
    assert key is not None
    return key.seal(text)


async def test_who_was_not_registered_here_gets_a_key_and_who_is_erased_gets_none(
    live: Settings, postgres: Pool
) -> None:
    keys, person = PersonKeys(postgres, MasterKey.load(live), kept=1), new_id()
    both = await asyncio.gather(*(keys.sealed(person, "Kitchen") for _ in range(4)))
    assert len(set(both)) == 1 and both[0] is not None
    assert await keys.opened(person, [both[0], None, "in clear, of before"]) == ["Kitchen", None, "in clear, of before"]
    assert await keys.opened(new_id(), [both[0]]) == [None]
    await postgres.execute("update person_key set wrapped = null where person_id = $1", person)
    assert (await keys.opened(person, both[:1]), await keys.sealed(person, "Den")) == ([None], None)


async def test_the_command_line_erases_and_shows_the_certificate(
    door: Door, email: str, installed: Callable[..., Awaitable[tuple[int, str]]]
) -> None:
    account_id, run = (await door.registered(email))["account_id"], installed
    assert (await run("certificate", account_id))[0] == 1
    refused = await run("erase", account_id, "--ground", "order", "--reference", "a <b>", "--yes")
    assert refused[0] == 1
    status, said = await run("erase", account_id, "--ground", "retention", "--reference", "R 12", "--yes")
    assert (status, "is erased" in said) == (0, True), said
    assert "was erased before" in (await run("erase", account_id, "--ground", "order", "--yes"))[1]
    status, said = await run("certificate", account_id)
    assert status == 0 and "retention, case R 12" in said and "command-line" in said and "the key is gone" in said
    told = msgspec.json.decode((await run("certificate", "--json", account_id))[1])
    assert (told["account_id"], told["holds"], len(told["hash"])) == (account_id, True, 64)


async def test_history_is_whole_after_an_erasure_as_before(
    door: Door, auditors: Pool, live: Settings, email: str
) -> None:
    account_id = (await door.registered(email))["account_id"]
    partition = partition_of(f"identity.account-{account_id}", live.log_partitions)

    async def wrong() -> list[Finding]:
        check = LogCheck(auditors, live, partition, [])
        return [found async for update in check.run("log", None) for found in update.findings]

    before = await wrong()  # of what other tests did to their events
    assert (await erase(door, account_id)).status_code == 200
    assert await wrong() == before
