"""Everything secret that a run of Playhead had, and where it stands in what the run wrote.

Tokens, passwords and addresses are those that went over HTTP; keys those in the keys directory; letters those sent.
"""

import email
import email.policy
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import aiohttp
import msgspec
import pytest

NAMES: Final = frozenset(
    {"password", "current_password", "new_password", "token", "access_token", "refresh_token", "playback_token"}
    | {"device_code", "user_code", "email", "client_secret"}
)
"""The fields of requests and replies that hold secrets, or what only their owner should read. A PIN is not looked for:
four digits are in every log.
"""
LEAST_CHARS: Final = 8
TOKEN_LINE: Final = re.compile(r"[\w.~+/=-]{20,}")
LOOKS_SECRET: Final = re.compile(rb"eyJ[\w-]{10,}\.[\w-]{10,}|\bphr\.[\w-]{8,}|\bphk_\w{8,}|BEGIN [A-Z ]*PRIVATE KEY")


@dataclass
class Heard:
    """What went over HTTP from this process. `said`: by what it is, the values."""

    said: dict[str, set[str]] = field(default_factory=dict)

    def listen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hear every request of aiohttp's from now on, and every reply."""
        asking, reading = aiohttp.ClientSession._request, aiohttp.ClientResponse.read

        async def request(session: Any, method: Any, url: Any, **given: Any) -> Any:
            self.note((given.get("headers") or {}).get("Authorization", "").removeprefix("Bearer "), "bearer")
            self.body(given.get("data"))
            return await asking(session, method, url, **given)

        async def read(response: Any) -> bytes:
            content = await reading(response)
            self.body(content)
            return content

        monkeypatch.setattr(aiohttp.ClientSession, "_request", request)
        monkeypatch.setattr(aiohttp.ClientResponse, "read", read)

    def body(self, content: object) -> None:
        """Note what a body holds: JSON, or a form."""
        if not isinstance(content, bytes) or not any(name.encode() in content for name in NAMES):
            return
        try:
            self._walk(msgspec.json.decode(content))
        except msgspec.DecodeError:
            self._walk(dict(parse_qsl(content.decode(errors="replace"))))

    def note(self, value: str, what: str) -> None:
        """Note one value."""
        if len(value) >= LEAST_CHARS:
            self.said.setdefault(what, set()).add(value)

    def _walk(self, held: object) -> None:
        match held:
            case dict():
                for name, value in held.items():
                    if name in NAMES and isinstance(value, str):
                        self.note(value, name)
                    self._walk(value)
            case list():
                for value in held:
                    self._walk(value)


def _is_public(path: Path) -> bool:
    """Whether a file of the keys directory is for everybody: public halves, and the newest checkpoint's number."""
    return path.parent.name.endswith(".public")


def secrets_in(state_dir: Path) -> dict[str, set[str]]:
    """What a state directory keeps that nobody may read in a log: keys in every spelling, and letters."""
    secrets: dict[str, set[str]] = {"key": set(), "address": set(), "one-time token": set()}
    for path in (path for path in (state_dir / "keys").rglob("*") if path.is_file() and not _is_public(path)):
        secrets["key"] |= set(_spellings(path.read_bytes()))
    for path in (state_dir / "mail").glob("*.eml"):
        letter = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        body = letter.get_body(("plain",))
        secrets["address"].add(str(letter["to"]))
        text = body.get_content() if body else ""
        secrets["one-time token"] |= {line for line in text.split() if TOKEN_LINE.fullmatch(line)}
    return secrets


def leaks(state_dir: Path, secrets: dict[str, set[str]], more: str = "") -> list[str]:
    """Which secrets stand in the logs of a state directory or in `more`: what each is and where, not what it was."""
    written = {path.name: path.read_bytes() for path in (state_dir / "logs").iterdir()}
    assert len(written) >= 4, "a run has logs"
    written["what was printed"] = more.encode()
    return [
        *(f"{what} in {name}" for name, log in written.items() for what in _found(log, secrets)),
        *(f"what looks like a secret in {name}" for name, log in written.items() if LOOKS_SECRET.search(log)),
    ]


def _found(log: bytes, secrets: dict[str, set[str]]) -> Iterator[str]:
    for what, values in secrets.items():
        if any(value.encode() in log for value in values):
            yield what


def _spellings(key: bytes) -> Iterator[str]:
    """A key as a log might hold it: as it is, in base64 or hexadecimal, and line by line."""
    raw = key.strip()
    yield from (raw.hex(), b64encode(raw).decode().rstrip("="), urlsafe_b64encode(raw).decode().rstrip("="))
    yield repr(raw)[2:-1]
    for line in raw.splitlines():
        text = line.decode(errors="replace")
        if len(text) >= LEAST_CHARS and text.isascii() and text.isprintable() and not text.startswith("-----"):
            yield text
