"""Mail as files, for a computer without a mail server: one .eml a letter, which a person or a test can read."""

import asyncio
import os
from pathlib import Path
from typing import Final

from infra.mail.mailer import POLICY, Letter, MailNotSent, MailRefused, message_of
from infra.settings import Settings

FILES: Final = POLICY.clone(linesep="\n")


class FileMailer:
    """Puts letters into a directory that only its owner reads. A letter that is sent again replaces itself."""

    def __init__(self, settings: Settings) -> None:
        self._directory = settings.mail_path
        self._sender = settings.mail_from

    async def send(self, letter: Letter, *, letter_id: str) -> None:
        """Raises MailNotSent, MailRefused."""
        try:
            content = message_of(letter, letter_id=letter_id, sender=self._sender).as_bytes(policy=FILES)
        except ValueError as error:
            raise MailRefused("the letter cannot be written as mail") from error
        try:
            await asyncio.to_thread(_write, self._directory / f"{letter_id}.eml", content)
        except OSError as error:
            raise MailNotSent(f"no file was written: {error.strerror}") from error


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)
