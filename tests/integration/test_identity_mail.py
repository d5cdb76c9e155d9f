"""Mail on its way, on a real Postgres: at least once, whoever is killed, and what has expired is dropped."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from commands.identity.emails.outbox import Clearing, Outbox, post
from commands.identity.emails.rounds import OutboxRounds
from infra.background import beside
from infra.clock import utc_now
from infra.ids import new_id, new_secret
from infra.mail.mailer import Letter, MailNotSent, MailRefused
from infra.mail.memory import MemoryMailer
from infra.personal_data import MasterKey
from infra.postgres import Pool
from infra.settings import Settings, environment_of_child
from tests.integration.projection_workers import eventually, free_port

pytestmark = pytest.mark.integration

MASTER = MasterKey.alone(b"a key for tests")


class Office:
    """An outbox whose mailer is a fake, at a time that the test moves."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self.pool = pool
        self.settings = settings
        self.mailer = MemoryMailer()
        self.now = utc_now()
        self.outbox = Outbox(pool, MASTER, self.mailer, settings, self.clock)

    def clock(self) -> datetime:
        return self.now

    async def post(self, *texts: str) -> None:
        async with self.pool.acquire() as pooled, pooled.transaction():
            for text in texts:
                letter = Letter(to="ann@example.com", subject="Hello", text=text) if text else None
                await post(pooled, MASTER, letter, self.now)  # type: ignore[arg-type]  # the proxy offers all of it

    async def send(self, *, later_s: float = 0) -> list[str]:
        """Send what is due then; all texts that were sent so far."""
        self.now += timedelta(seconds=later_s)
        await self.outbox.send_due()
        return [letter.text for letter in self.mailer.sent.values()]

    async def waiting(self) -> list[int]:
        """The tries of the letters that are there."""
        return [row["tries"] for row in await self.pool.fetch("select tries from identity_mail order by mail_id")]


@pytest.fixture
async def office(live: Settings, postgres: Pool) -> AsyncIterator[Office]:
    await postgres.execute("delete from identity_mail")
    yield Office(postgres, live.model_copy(update={"mail_max_tries": 3, "mail_timeout_s": 10.0}))
    await postgres.execute("delete from identity_mail")


async def test_a_letter_is_sent_once_and_gone(office: Office) -> None:
    await office.post("one", "two")
    assert await office.send() == ["one", "two"]
    assert await office.send(later_s=3600) == ["one", "two"]
    assert office.mailer.times_sent == 2
    assert await office.waiting() == []


async def test_a_transaction_that_fails_sends_nothing(office: Office) -> None:
    async with office.pool.acquire() as pooled:
        transaction = pooled.transaction()
        await transaction.start()
        await post(pooled, MASTER, Letter(to="a@b.example", subject="", text=""), office.now)  # type: ignore[arg-type]
        await transaction.rollback()
    assert await office.send() == []


async def test_what_only_takes_time_is_never_sent(office: Office) -> None:
    await office.post("")
    assert await office.send() == []
    assert await office.waiting() == []


async def test_a_letter_that_was_not_sent_is_tried_again_later_each_time(office: Office) -> None:
    office.mailer.trouble += [MailNotSent("away"), MailNotSent("away")]
    await office.post("one")
    assert await office.send() == []
    assert await office.send(later_s=19) == []
    assert await office.waiting() == [1]
    assert await office.send(later_s=2) == []
    assert await office.send(later_s=39) == []
    assert await office.send(later_s=2) == ["one"]


async def test_a_letter_is_kept_as_failed_after_its_last_try(office: Office) -> None:
    office.mailer.trouble += [MailNotSent("away")] * 3
    await office.post("one")
    for _ in range(5):
        await office.send(later_s=3600)
    assert await office.waiting() == [3]
    assert office.mailer.sent == {}


async def test_a_letter_that_is_refused_for_good_is_not_tried_again_and_delays_no_other(office: Office) -> None:
    office.mailer.trouble.append(MailRefused("no such user"))
    await office.post("one", "two")
    assert await office.send() == ["two"]
    assert await office.send(later_s=3600) == ["two"]
    assert await office.waiting() == [3]


async def test_a_letter_under_another_master_key_delays_no_other(office: Office) -> None:
    async with office.pool.acquire() as pooled:
        letter = Letter(to="a@b.example", subject="", text="lost")
        await post(pooled, MasterKey.alone(new_secret()), letter, office.now)  # type: ignore[arg-type]
    await office.post("two")
    assert await office.send() == ["two"]


async def test_a_letter_whose_sender_was_killed_is_sent_by_another_under_the_same_id(office: Office) -> None:
    class Killed(MemoryMailer):
        async def send(self, letter: Letter, *, letter_id: str) -> None:
            await super().send(letter, letter_id=letter_id)
            raise asyncio.CancelledError  # after the mail server has it, and before we know

    killed = Killed()
    await office.post("one")
    with pytest.raises(asyncio.CancelledError):
        await Outbox(office.pool, MASTER, killed, office.settings, office.clock).send_due()
    assert await office.send() == []
    assert await office.send(later_s=21) == ["one"]
    assert office.mailer.sent.keys() == killed.sent.keys()


async def test_several_processes_share_the_letters(office: Office) -> None:
    await office.post(*(f"letter {n}" for n in range(30)))
    settings = office.settings.model_copy(update={"mail_batch_rows": 100})
    await asyncio.gather(
        *(Outbox(office.pool, MASTER, office.mailer, settings, office.clock).send_due() for _ in range(4))
    )
    assert (len(office.mailer.sent), office.mailer.times_sent) == (30, 30)


async def test_a_round_is_bounded(office: Office) -> None:
    settings = office.settings.model_copy(update={"mail_batch_rows": 2})
    await office.post("one", "two", "three")
    assert await Outbox(office.pool, MASTER, office.mailer, settings, office.clock).send_due() == 2
    assert len(await office.waiting()) == 1


@pytest.mark.parametrize("rounds_away", [2, 1_100], ids=["for a moment", "for hours"])
async def test_rounds_go_on_after_postgres_was_away(office: Office, rounds_away: int) -> None:
    class Away(Outbox):
        times = 0

        async def send_due(self) -> int:
            self.times += 1
            if self.times <= rounds_away:
                raise ConnectionError("away")
            return await super().send_due()

    settings = office.settings.model_copy(update={"mail_poll_interval_s": 0.001, "store_retry_max_s": 0.001})
    await office.post("one")
    rounds = OutboxRounds(Away(office.pool, MASTER, office.mailer, settings, office.clock), settings, office.clock)

    async def sent() -> bool:
        return len(office.mailer.sent) == 1

    async with beside(rounds.run()):
        await eventually(sent)


async def test_what_has_expired_is_dropped_a_bounded_number_at_a_time(office: Office) -> None:
    past, future = office.now - timedelta(seconds=1), office.now + timedelta(hours=1)
    keep = "insert into identity_one_time_tokens values ($1, 'test', null, null, $2)"
    for expires_at in (past, past, past, future):
        await office.pool.execute(keep, new_secret(), expires_at)
    count = "select count(*) from identity_one_time_tokens where purpose = 'test'"
    settings = office.settings.model_copy(update={"secrets_clean_rows": 1})
    before = await office.pool.fetchval(count)
    one = Outbox(office.pool, MASTER, office.mailer, settings, office.clock)
    await one.drop_expired()
    assert before - await office.pool.fetchval(count) <= 1
    await office.outbox.drop_expired()
    assert await office.pool.fetchval(count + " and expires_at < now()") == 0
    assert await office.pool.fetchval(count) == 1
    await office.pool.execute("delete from identity_one_time_tokens where purpose = 'test'")


async def test_failed_mail_is_dropped_after_some_days(office: Office) -> None:
    office.mailer.trouble += [MailRefused("no such user")]
    await office.post("one")
    await office.send()
    await office.outbox.drop_expired()
    assert await office.waiting() == [3]
    office.now += timedelta(days=8)
    await office.outbox.drop_expired()
    assert await office.waiting() == []


def test_clearing_is_due_once_in_its_interval() -> None:
    clearing, now = Clearing(Settings(secrets_clean_interval_s=60)), utc_now()
    assert [clearing.is_due(now + timedelta(seconds=s)) for s in (0, 1, 59, 60, 61)] == [
        True,
        False,
        False,
        True,
        False,
    ]


async def test_nothing_that_is_logged_names_an_address(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    from structlog.testing import capture_logs  # noqa: PLC0415

    office.mailer.trouble += [MailNotSent("away"), MailRefused("no such user")]
    await office.post(f"secret {new_id()}")
    with capture_logs() as logged:
        await office.send()
        await office.send(later_s=3600)
    assert [entry["event"] for entry in logged] == ["mail_delayed", "mail_failed"]
    assert "ann" not in f"{logged}{caplog.text}"


class CommandsProcess:
    """A process of `playhead commands`."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self.port = free_port()
        environment = environment_of_child(
            state_dir=directory,
            keys_dir=settings.keys_path,
            postgres_dsn=settings.postgres_dsn,
            redis_url=settings.redis_url,
            kafka_bootstrap=settings.kafka_bootstrap,
            mail_dir=directory / "mail",
            commands_port=self.port,
            mail_poll_interval_s=0.05,
            mail_timeout_s=0.5,
            password_hash_memory_kib=8,
            rate_sign_in_address="1000 per 60 s",
        )
        with (directory / f"commands-{self.port}.log").open("wb") as log:
            command = [sys.executable, "-m", "playhead", "commands"]
            self._process = subprocess.Popen(command, env=environment, stderr=log)

    async def ready(self) -> bool:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"http://127.0.0.1:{self.port}/health")).status_code == 200
        except httpx.HTTPError:
            return False

    async def register(self, email: str) -> bool:
        """Whether the registration was acknowledged."""
        body = {"email": email, "password": "kitchen-table-7-Walnut"}
        try:
            async with httpx.AsyncClient(timeout=10) as client:
                reply = await client.post(f"http://127.0.0.1:{self.port}/v1/registrations", json=body)
        except httpx.HTTPError:
            return False
        return reply.status_code == 202

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


async def test_a_registration_that_was_acknowledged_gets_its_mail_though_the_process_was_killed(
    office: Office, live: Settings, tmp_path: Path
) -> None:
    addresses = [f"ann-{new_id()[-12:]}@example.com" for _ in range(30)]
    first = CommandsProcess(live, tmp_path)
    try:
        await eventually(first.ready)
        registering = [asyncio.create_task(first.register(address)) for address in addresses]
        await asyncio.wait(registering, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.1)
    finally:
        first.kill()
    answers = await asyncio.gather(*registering)
    acknowledged = {address for address, done in zip(addresses, answers, strict=True) if done}
    assert acknowledged
    second = CommandsProcess(live, tmp_path)
    try:

        async def all_sent() -> bool:
            letters = [path.read_text() for path in (tmp_path / "mail").glob("*.eml")]
            return all(any(f"To: {address}" in letter for letter in letters) for address in acknowledged)

        await eventually(all_sent)
    finally:
        second.kill()
