"""Splits a body that arrives in pieces into its lines: pure, in memory for one line at most."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

NEWLINE = b"\n"


class Line(NamedTuple):
    """A line, counted from 1. `content`: b"" of a blank one, None when it is longer than one may be."""

    number: int
    content: bytes | None


class Splitter:
    """`number`: how many lines there were. `line_max_bytes`: of a longer one nothing is kept."""

    def __init__(self, line_max_bytes: int) -> None:
        self._most = line_max_bytes
        self._begun: list[bytes] = []
        self._begun_bytes = 0
        self._digest = hashlib.blake2b(digest_size=32)
        self.number = 0

    def digest(self) -> bytes:
        """Of the lines that were given out, in order."""
        return self._digest.copy().digest()

    def feed(self, piece: bytes) -> Iterator[Line]:
        """The lines that this piece ends; each is part of digest() and number from when it is given out."""
        *ended, rest = piece.split(NEWLINE)
        for end in ended:
            yield self._end(end)
        self._keep(rest)

    def end(self) -> Iterator[Line]:
        """The last line, when no newline ends it."""
        if self._begun_bytes:
            yield self._end(b"")

    def _end(self, end: bytes) -> Line:
        self._keep(end)
        content = None if self._begun_bytes > self._most else b"".join(self._begun)
        if content:
            self._digest.update(content)
        self._digest.update(NEWLINE)
        self._begun, self._begun_bytes = [], 0
        self.number += 1
        return Line(self.number, None if content is None else content.strip())

    def _keep(self, part: bytes) -> None:
        self._begun_bytes += len(part)
        if self._begun_bytes <= self._most:
            if part:
                self._begun.append(part)
            return
        # Too long: it is known by what it says all the same.
        for kept in self._begun:
            self._digest.update(kept)
        self._digest.update(part)
        self._begun = []
