"""Everybody's mailbox: the folder that mail is put into as files, read as its recipients would."""

import asyncio
import email
import email.policy
import re
from pathlib import Path
from typing import Final

from infra.clock import monotonic_s
from infra.settings import Settings
from playhead.demo.api import NotTaken

COMES_WITHIN_S: Final = 30.0
LOOKS_EVERY_S: Final = 0.1
TOKEN: Final = re.compile(r"^([\w.~-]{20,})$", re.MULTILINE)
"""A one-time token stands in a line of its own."""


class Mailbox:
    """Reads each file once, and keeps the newest token of each address until it is taken."""

    def __init__(self, settings: Settings) -> None:
        self._directory: Path = settings.mail_path.absolute()
        self._read: set[str] = {path.name for path in self._files()}
        self._tokens: dict[str, str] = {}
        self._looked_s = 0.0

    async def token(self, address: str) -> str:
        """The token that was mailed to an address, once. Raises NotTaken when none comes."""
        deadline_s = monotonic_s() + COMES_WITHIN_S
        while monotonic_s() < deadline_s:
            self._look()
            if address in self._tokens:
                return self._tokens.pop(address)
            await asyncio.sleep(LOOKS_EVERY_S)
        raise NotTaken(f"no mail to {address} came into {self._directory} within {COMES_WITHIN_S:.0f} s")

    def _look(self) -> None:
        """Read what is new; for all who wait, at most once in a while."""
        if monotonic_s() - self._looked_s < LOOKS_EVERY_S / 2:
            return
        self._looked_s = monotonic_s()
        for path in self._files():
            if path.name not in self._read:
                self._read.add(path.name)
                self._keep(path.read_bytes())

    def _keep(self, mail: bytes) -> None:
        message = email.message_from_bytes(mail, policy=email.policy.default)
        body = message.get_body(("plain",))
        if body is not None and (found := TOKEN.search(body.get_content())):
            self._tokens[str(message["to"])] = found[1]

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob("*.eml"))
