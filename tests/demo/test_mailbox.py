"""Mail is read once, by whom it is for, and only what came after the mailbox was opened."""

from pathlib import Path

import pytest

from infra.mail.files import FileMailer
from infra.mail.mailer import Letter
from infra.settings import Settings
from playhead.demo.api import NotTaken
from playhead.demo.people import mailbox
from playhead.demo.people.mailbox import Mailbox

FIRST, SECOND = "dG9rZW4tb25lLXRva2VuLW9uZQ", "dG9rZW4tdHdvLXRva2VuLXR3bw"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(mailbox, "LOOKS_EVERY_S", 0.0)
    monkeypatch.setattr(mailbox, "COMES_WITHIN_S", 0.1)
    return Settings(state_dir=tmp_path)


async def send(settings: Settings, number: int, to: str, token: str) -> None:
    text = f"To begin, follow the link:\n\nhttp://127.0.0.1/confirm#token={token}\n\n{token}\n\nIf not, do nothing.\n"
    await FileMailer(settings).send(Letter(to=to, subject="Confirm", text=text), letter_id=f"letter-{number}")


async def test_each_reads_the_token_that_was_mailed_to_them(settings: Settings) -> None:
    box = Mailbox(settings)
    await send(settings, 1, "ada@home.example", FIRST)
    await send(settings, 2, "bao@home.example", SECOND)
    assert await box.token("bao@home.example") == SECOND
    assert await box.token("ada@home.example") == FIRST


async def test_what_came_before_and_what_was_read_is_not_read_again(settings: Settings) -> None:
    await send(settings, 1, "ada@home.example", FIRST)
    box = Mailbox(settings)
    await send(settings, 2, "ada@home.example", SECOND)
    assert await box.token("ada@home.example") == SECOND
    with pytest.raises(NotTaken, match="no mail to ada"):
        await box.token("ada@home.example")


async def test_mail_without_a_token_is_passed_over(settings: Settings) -> None:
    box = Mailbox(settings)
    letter = Letter(to="ada@home.example", subject="Closed", text="Your account is closed.\n")
    await FileMailer(settings).send(letter, letter_id="letter-1")
    with pytest.raises(NotTaken):
        await box.token("ada@home.example")
