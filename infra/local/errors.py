"""The one error of the local servers: what is missing or went wrong, and what to do about it."""

from pathlib import Path

_TAIL_BYTES = 16_384
_TAIL_LINES = 20


class LocalServerError(Exception):
    """A local server cannot be started or stopped; the message is meant for the person at the terminal."""


def last_lines(text: str, count: int = _TAIL_LINES) -> str:
    """The last `count` lines that say something, indented, to be quoted below a message."""
    said = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(f"    {line}" for line in said[-count:])


def last_log_lines(log: Path) -> str:
    """The end of a log file, however large it is; empty when there is none."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            return last_lines(stream.read().decode(errors="replace"))
    except FileNotFoundError:
        return ""
