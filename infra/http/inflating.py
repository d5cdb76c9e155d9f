"""Inflates compressed bodies, never to more than a limit: bytes in, bytes out.

A decoder is stopped while it inflates, so that a bomb takes the limit and one chunk, whatever it would grow to.
"""

import zlib
from collections.abc import Callable
from typing import Final

import cramjam

from events.refusals import Refusal

TAKEN: Final = "gzip, deflate, br, zstd"
"""The codings that are inflated, as a reply's Accept-Encoding names them (RFC 9110, 12.5.3)."""
CHUNK_BYTES: Final = 64 * 1024
MEMBERS_MAX: Final = 16
"""A gzip body may be several members, one after another (RFC 1952, 2.2); each costs a decoder."""
GZIP_WBITS: Final = 31
ZLIB_WBITS: Final = 15
RAW_WBITS: Final = -15
TOO_LARGE: Final = ("failed to write whole buffer", "Frame requires too much memory for decoding")
"""What cramjam says when the room is full, and of a zstd frame that declares more than 128 MiB."""


class EncodingMalformed(Refusal):
    """A compressed body that is cut off, or not what its Content-Encoding says."""


class EncodingUnknown(Exception):
    """A coding that is not inflated here, or several of them on top of each other."""


class InflatedTooLarge(Exception):
    """A body that inflates to more than the limit."""


class Inflater:
    """Inflates one body at a time, to at most `max_bytes`; br and zstd go into one room that all bodies share.

    What follows the end of a br stream is not looked at: cramjam does not tell how far it read.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._room: bytearray | None = None
        self._codings: dict[bytes, Callable[[bytes], bytes]] = {
            b"gzip": self._gzip,
            b"x-gzip": self._gzip,  # "equivalent to gzip" (RFC 9110, 8.4.1.3)
            b"deflate": self._deflate,
            b"br": lambda body: self._into_room(cramjam.brotli.decompress_into, body),
            b"zstd": lambda body: self._into_room(cramjam.zstd.decompress_into, body),
        }

    def inflate(self, coding: bytes, body: bytes) -> bytes:
        """What was compressed. `coding`: the value of Content-Encoding.

        Raises EncodingUnknown, EncodingMalformed, InflatedTooLarge.
        """
        return self.of(coding)(body)

    def of(self, coding: bytes) -> Callable[[bytes], bytes]:
        """What inflates bodies of a coding. Raises EncodingUnknown."""
        inflate = self._codings.get(coding.strip().lower())
        if inflate is None:
            raise EncodingUnknown
        return inflate

    def _gzip(self, body: bytes) -> bytes:
        inflated, rest = self._deflated(body, GZIP_WBITS, self._max_bytes)
        members = 1
        while rest:
            if members == MEMBERS_MAX:
                raise EncodingMalformed(f"a gzip body may have {MEMBERS_MAX} members: compress it as one")
            member, rest = self._deflated(rest, GZIP_WBITS, self._max_bytes - len(inflated))
            inflated += member
            members += 1
        return inflated

    def _deflate(self, body: bytes) -> bytes:
        """The zlib format, as the standard has it, or the bare stream that some senders make of its name."""
        is_zlib = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0  # RFC 1950, 2.2
        inflated, rest = self._deflated(body, ZLIB_WBITS if is_zlib else RAW_WBITS, self._max_bytes)
        if rest:
            raise EncodingMalformed("something follows the end of the compressed body")
        return inflated

    def _deflated(self, body: bytes, wbits: int, max_bytes: int) -> tuple[bytes, bytes]:
        """What a stream inflates to, and what follows it."""
        decoder = zlib.decompressobj(wbits)
        pieces: list[bytes] = []
        left, at = max_bytes, 0
        while not decoder.eof:
            fed = decoder.unconsumed_tail
            if not fed:
                fed = body[at : at + CHUNK_BYTES]
                at += CHUNK_BYTES
            piece = _inflated(decoder, fed)
            left -= len(piece)
            if left < 0:
                raise InflatedTooLarge
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), decoder.unused_data + body[at:]

    def _into_room(self, decompress_into: Callable[[bytes, bytearray], int], body: bytes) -> bytes:
        if self._room is None:
            self._room = bytearray(self._max_bytes)
        try:
            size = decompress_into(body, self._room)
        except cramjam.DecompressionError as error:
            if str(error) in TOO_LARGE:
                raise InflatedTooLarge from error
            raise EncodingMalformed(f"the body cannot be inflated: {error}") from error
        return bytes(memoryview(self._room)[:size])


def _inflated(decoder: "zlib._Decompress", fed: bytes) -> bytes:
    """The next chunk, at most."""
    try:
        piece = decoder.decompress(fed, CHUNK_BYTES)
    except zlib.error as error:
        raise EncodingMalformed(f"the body cannot be inflated: {error}") from error
    if not (fed or piece or decoder.eof):
        raise EncodingMalformed("the compressed body is cut off: send all of it")
    return piece
