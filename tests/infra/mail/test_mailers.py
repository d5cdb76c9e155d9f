"""Letters as mail: into files, and by SMTP to a server that really speaks it."""

import asyncio
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra.mail.adapters import mailer_of
from infra.mail.files import FileMailer
from infra.mail.mailer import Letter, MailNotSent, MailRefused
from infra.mail.memory import MemoryMailer
from infra.mail.smtp import SmtpMailer
from infra.settings import Settings

LINK = f"http://127.0.0.1:8000/confirm-registration#token={'t' * 43}"
LETTER = Letter(to="ann@example.com", subject="Confirm your address", text=f"Hello, Ä.\n\n{LINK}\n\n{'t' * 43}\n")
ID = "playhead-000000000001"


def test_files_are_the_default_and_a_mail_server_where_one_is_named(tmp_path: Path) -> None:
    assert isinstance(mailer_of(Settings(state_dir=tmp_path)), FileMailer)
    assert isinstance(mailer_of(Settings(state_dir=tmp_path, smtp_host="mail.example.com")), SmtpMailer)


async def test_a_letter_is_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    await FileMailer(Settings(state_dir=tmp_path)).send(LETTER, letter_id=ID)
    (path,) = (tmp_path / "mail").iterdir()
    assert (path.name, stat.S_IMODE(path.stat().st_mode)) == (f"{ID}.eml", 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    message = message_from_bytes(path.read_bytes(), policy=default)
    assert (message["To"], message["Subject"]) == (LETTER.to, LETTER.subject)
    assert message["Message-ID"] == f"<{ID}@playhead.invalid>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content() == LETTER.text
    assert LINK.encode() in path.read_bytes()  # whole, for who reads the file itself


async def test_a_letter_that_is_sent_again_is_one_file(tmp_path: Path) -> None:
    mailer = FileMailer(Settings(state_dir=tmp_path))
    await asyncio.gather(*(mailer.send(LETTER, letter_id=ID) for _ in range(2)), return_exceptions=True)
    assert [path.name for path in (tmp_path / "mail").glob("*.eml")] == [f"{ID}.eml"]


async def test_a_directory_that_cannot_be_written_delays_the_letter(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file is in the way")
    with pytest.raises(MailNotSent) as failed:
        await FileMailer(Settings(state_dir=tmp_path)).send(LETTER, letter_id=ID)
    assert not isinstance(failed.value, MailRefused)
    assert "ann" not in str(failed.value)


@pytest.mark.parametrize("to", ["ann@example.com\nBcc: all@example.com", "ann@example.com\r\n\r\nSpam"])
async def test_a_line_break_in_a_header_is_refused_for_good(tmp_path: Path, to: str) -> None:
    letter = Letter(to=to, subject="Hello", text="")
    with pytest.raises(MailRefused):
        await FileMailer(Settings(state_dir=tmp_path)).send(letter, letter_id=ID)
    with pytest.raises(MailRefused):
        await SmtpMailer(Settings(state_dir=tmp_path, smtp_host="127.0.0.1")).send(letter, letter_id=ID)


async def test_the_fake_keeps_letters_and_fails_as_it_is_told() -> None:
    mailer = MemoryMailer()
    mailer.trouble.append(MailNotSent("away"))
    with pytest.raises(MailNotSent):
        await mailer.send(LETTER, letter_id=ID)
    await mailer.send(LETTER, letter_id=ID)
    assert mailer.sent == {ID: LETTER}


class Inbox:
    """What the mail server took. `replies`: to recipients, by address."""

    def __init__(self) -> None:
        self.letters: list[Envelope] = []
        self.replies: dict[str, str] = {}
        self.signed_in: list[tuple[str, str]] = []
        self.encrypted: list[bool] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: object, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.replies:
            return self.replies[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: object, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.letters.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return "250 OK"

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, _how: str, shown: Any) -> AuthResult:
        assert isinstance(shown, LoginPassword)
        self.signed_in.append((shown.login.decode(), shown.password.decode()))
        return AuthResult(success=shown.password == b"smtp-secret")


@asynccontextmanager
async def serving(inbox: Inbox, **options: Any) -> AsyncIterator[int]:
    """The port of a mail server."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(inbox, loop=loop, **options), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def mailer_at(port: int, **changes: Any) -> SmtpMailer:
    settings: dict[str, Any] = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_starttls": False, **changes}
    return SmtpMailer(Settings(mail_timeout_s=2.0, **settings))


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


async def test_a_letter_arrives(inbox: Inbox) -> None:
    async with serving(inbox) as port:
        await mailer_at(port).send(LETTER, letter_id=ID)
    (taken,) = inbox.letters
    assert taken.rcpt_tos == ["ann@example.com"]
    assert taken.mail_from == "no-reply@playhead.invalid"
    assert isinstance(taken.content, bytes)
    message = message_from_bytes(taken.content, policy=default)
    assert message.get_content().splitlines() == LETTER.text.splitlines()


async def test_a_server_without_starttls_gets_no_letter_unless_the_settings_allow_it(inbox: Inbox) -> None:
    async with serving(inbox) as port:
        with pytest.raises(MailNotSent):
            await mailer_at(port, smtp_starttls=True).send(LETTER, letter_id=ID)
    assert inbox.letters == []


async def test_a_certificate_that_nobody_vouches_for_gets_no_letter(inbox: Inbox, tmp_path: Path) -> None:
    context = self_signed(tmp_path)
    async with serving(inbox, tls_context=context) as port:
        with pytest.raises(MailNotSent):
            await mailer_at(port, smtp_starttls=True).send(LETTER, letter_id=ID)
    assert inbox.letters == []


async def test_starttls_encrypts_to_a_server_whose_authority_is_in_the_settings(inbox: Inbox, tmp_path: Path) -> None:
    context = self_signed(tmp_path)
    async with serving(inbox, tls_context=context) as port:
        await mailer_at(port, smtp_starttls=True, smtp_ca_file=tmp_path / "server.pem").send(LETTER, letter_id=ID)
    assert inbox.encrypted == [True]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
async def test_the_password_comes_from_its_file_and_a_wrong_one_delays_the_letter(inbox: Inbox, tmp_path: Path) -> None:
    file = tmp_path / "smtp.password"
    file.write_text("smtp-secret\n")
    options = {"authenticator": inbox.authenticate, "auth_required": True, "auth_require_tls": False}
    async with serving(inbox, **options) as port:
        mailer = mailer_at(port, smtp_username="playhead", smtp_password_file=file)
        await mailer.send(LETTER, letter_id=ID)
        file.write_text("outdated")
        with pytest.raises(MailNotSent) as failed:
            await mailer.send(LETTER, letter_id=ID)
    assert inbox.signed_in[0] == ("playhead", "smtp-secret")
    assert len(inbox.letters) == 1
    assert not isinstance(failed.value, MailRefused)


@pytest.mark.parametrize(("reply", "for_good"), [("550 No such user", True), ("450 Come back later", False)])
async def test_a_refused_recipient_is_told_from_a_busy_one_and_neither_is_named(
    inbox: Inbox, reply: str, for_good: bool
) -> None:
    inbox.replies["ann@example.com"] = reply + " ann@example.com"
    async with serving(inbox) as port:
        with pytest.raises(MailNotSent) as failed:
            await mailer_at(port).send(LETTER, letter_id=ID)
    assert isinstance(failed.value, MailRefused) is for_good
    assert "ann" not in f"{failed.value!r}"


async def test_no_server_delays_the_letter() -> None:
    async with serving(Inbox()) as port:
        pass
    with pytest.raises(MailNotSent) as failed:
        await mailer_at(port).send(LETTER, letter_id=ID)
    assert not isinstance(failed.value, MailRefused)


def self_signed(directory: Path) -> ssl.SSLContext:
    """A server's TLS context with a certificate of its own making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    file = directory / "server.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
