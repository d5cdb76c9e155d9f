"""The port: a letter, and whoever sends it."""

from email.message import EmailMessage
from email.policy import SMTPUTF8
from email.utils import format_datetime, parseaddr
from typing import Final, Protocol

import msgspec

from infra.clock import utc_now

LINE_MAX_CHARS: Final = 998
"""RFC 5322, section 2.1.1; shorter, and links would be broken up and encoded."""
POLICY: Final = SMTPUTF8.clone(max_line_length=LINE_MAX_CHARS)


class Letter(msgspec.Struct, frozen=True):
    """Mail to one address, in plain text."""

    to: str
    subject: str
    text: str


class MailNotSent(Exception):
    """The letter did not leave; it may the next time. Never says to whom."""


class MailRefused(MailNotSent):
    """The letter will not be taken the next time either."""


class Mailer(Protocol):
    """Sends letters. One that is sent again under the same id may arrive again."""

    async def send(self, letter: Letter, *, letter_id: str) -> None:
        """Raises MailNotSent, MailRefused."""


def message_of(letter: Letter, *, letter_id: str, sender: str) -> EmailMessage:
    """A letter as RFC 5322 has it; the same id makes the same Message-ID. Raises ValueError for a line break in a
    header.
    """
    _, address = parseaddr(sender)
    message = EmailMessage(policy=POLICY)
    message["From"] = sender
    message["To"] = letter.to
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(utc_now())
    message["Message-ID"] = f"<{letter_id}@{address.rpartition('@')[2] or 'playhead.invalid'}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notices in reply
    message.set_content(letter.text)
    return message
