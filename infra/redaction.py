"""The second wall before the logs: what looks like a secret is taken out, whoever logged it.

The first is that nobody logs one; tests/e2e/test_demo.py looks.
"""

import re
from typing import Final

from structlog.typing import EventDict, WrappedLogger

GONE: Final = "[redacted]"
_MAY_HOLD_ONE: Final = re.compile(
    r"phr\.|phk_|eyJ|bearer |basic |://[^/\s]*@|pass|secret|token|authoriz|cookie|api_key|\bpin\b|[\w.]@\w",
    re.IGNORECASE,
)
_PATTERNS: Final = (
    # Our own: refresh tokens, API keys, JWTs.
    (re.compile(r"\bphr\.[\w.~+/=-]+|\bphk_[\w~+/=-]+|\beyJ[\w-]+(?:\.[\w-]*){1,4}"), GONE),
    (re.compile(r"\b(bearer|basic) +[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {GONE}"),
    (re.compile(r"(://[^/\s:@]*):[^/\s]+@"), rf"\1:{GONE}@"),
    (
        re.compile(
            r"""((?:password|passwd|secret|token|api_key|authorization|cookie|\bpin)["']?\s*[=:]\s*["']?)"""
            r"""(?!\[redacted\]|None\b|null\b|True\b|False\b)(?:[^\s"',;&)}\]]+)""",
            re.IGNORECASE,
        ),
        rf"\1{GONE}",
    ),
    (
        re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}\.[a-z]{2,63}\b", re.IGNORECASE),
        GONE,
    ),  # somebody's address
)
_NAMED: Final = re.compile(
    r"password|passwd|secret|(?:^|_)token$|refresh_token|access_token|authorization|cookie|api_key$|(?:^|_)pin$"
)


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A processor of structlog's: every value of a line, also within what it holds."""
    for name, value in event.items():
        if not name.startswith("_"):  # structlog's own
            event[name] = _cleared(name, value)
    return event


def redacted(text: str) -> str:
    """A text without what looks like a secret."""
    if _MAY_HOLD_ONE.search(text) is None:
        return text
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def _cleared(name: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if _NAMED.search(name):
        return GONE
    match value:
        case str():
            return redacted(value)
        case dict():
            return {key: _cleared(str(key), held) for key, held in value.items()}
        case list() | tuple():
            return [_cleared("", held) for held in value]
        case _:
            return redacted(str(value))
