"""Inflates a body while it arrives: a compressed piece in, small pieces out, in memory that does not depend on what it
grows to. For whole bodies, and quicker, is inflating.py; its cramjam inflates no stream.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

import brotli
from backports import zstd

from infra.http.inflating import (
    CHUNK_BYTES,
    GZIP_WBITS,
    MEMBERS_MAX,
    RAW_WBITS,
    ZLIB_WBITS,
    EncodingMalformed,
    EncodingUnknown,
)

ZSTD_WINDOW_LOG_MAX: Final = 23
"""8 MiB, which RFC 8878 (3.1.1.1.2) has every decoder support; more is refused."""
IS_CUT_OFF: Final = "the compressed body is cut off: send all of it"


class Decoder(Protocol):
    """One compressed stream. `rest`: what was fed and follows its end, once it has ended."""

    has_ended: bool
    rest: bytes

    def pieces(self, fed: bytes) -> Iterator[bytes]:
        """What more can be inflated, about CHUNK_BYTES at a time. Raises EncodingMalformed."""


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._decoder = zlib.decompressobj(wbits)
        self.has_ended = False
        self.rest = b""

    def pieces(self, fed: bytes) -> Iterator[bytes]:
        decoder = self._decoder
        more = True
        while more:
            try:
                piece = decoder.decompress(fed, CHUNK_BYTES)
            except zlib.error as error:
                raise _malformed(error) from error
            fed = decoder.unconsumed_tail
            more = not decoder.eof and (bool(fed) or len(piece) == CHUNK_BYTES)
            if piece:
                yield piece
        self.has_ended, self.rest = decoder.eof, decoder.unused_data


class _Deflate:
    """The zlib format, as the standard has it, or the bare stream that some senders make of its name: the first two
    bytes tell (RFC 1950, 2.2).
    """

    def __init__(self) -> None:
        self._first = b""
        self._inner: _Zlib | None = None
        self.has_ended = False
        self.rest = b""

    def pieces(self, fed: bytes) -> Iterator[bytes]:
        if self._inner is None:
            fed = self._first = self._first + fed
            if len(fed) < 2:
                return
            is_zlib = fed[0] & 15 == 8 and (fed[0] << 8 | fed[1]) % 31 == 0
            self._inner = _Zlib(ZLIB_WBITS if is_zlib else RAW_WBITS)
        yield from self._inner.pieces(fed)
        self.has_ended, self.rest = self._inner.has_ended, self._inner.rest


class _Zstd:
    def __init__(self) -> None:
        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG_MAX}
        self._decoder = zstd.ZstdDecompressor(options=options)
        self.has_ended = False
        self.rest = b""

    def pieces(self, fed: bytes) -> Iterator[bytes]:
        decoder = self._decoder
        more = True
        while more:
            try:
                piece = decoder.decompress(fed, CHUNK_BYTES)
            except zstd.ZstdError as error:
                raise _malformed(error) from error
            fed = b""
            more = not (decoder.eof or decoder.needs_input)
            if piece:
                yield piece
        self.has_ended = decoder.eof
        self.rest = decoder.unused_data if decoder.eof else b""


class _Brotli:
    rest = b""

    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()
        self.has_ended = False

    def pieces(self, fed: bytes) -> Iterator[bytes]:
        piece = self._next(fed)
        while piece or not (self._decoder.can_accept_more_data() or self._decoder.is_finished()):
            yield piece
            piece = self._next(b"")
        self.has_ended = self._decoder.is_finished()

    def _next(self, fed: bytes) -> bytes:
        if self._decoder.is_finished() and not fed:
            return b""
        try:
            return bytes(self._decoder.process(fed, output_buffer_limit=CHUNK_BYTES))
        except brotli.error as error:
            raise _malformed(error) from error


_DECODERS: Final[Mapping[bytes, Callable[[], Decoder]]] = {
    b"gzip": lambda: _Zlib(GZIP_WBITS),
    b"x-gzip": lambda: _Zlib(GZIP_WBITS),
    b"deflate": _Deflate,
    b"br": _Brotli,
    b"zstd": _Zstd,
}
_REPEATED: Final = frozenset({b"gzip", b"x-gzip", b"zstd"})
"""Where one stream may follow another in a body (RFC 1952, 2.2; RFC 8878, 3.1)."""


class InflatingStream:
    """Inflates one body. `coding`: the value of its Content-Encoding. Raises EncodingUnknown."""

    def __init__(self, coding: bytes) -> None:
        self._coding = coding.strip().lower()
        if self._coding not in _DECODERS:
            raise EncodingUnknown
        self._decoder = _DECODERS[self._coding]()
        self._members = 1

    def feed(self, compressed: bytes) -> Iterator[bytes]:
        """What more there is, a piece at a time: to be taken before more is fed. Raises EncodingMalformed."""
        while compressed:
            if self._decoder.has_ended:
                self._begin_member()
            yield from self._decoder.pieces(compressed)
            compressed = self._decoder.rest

    def end(self) -> None:
        """There is no more. Raises EncodingMalformed when there should be."""
        if not self._decoder.has_ended:
            raise EncodingMalformed(IS_CUT_OFF)

    def _begin_member(self) -> None:
        if self._coding not in _REPEATED:
            raise EncodingMalformed("something follows the end of the compressed body")
        if self._members == MEMBERS_MAX:
            raise EncodingMalformed(f"a compressed body may have {MEMBERS_MAX} members: compress it as one")
        self._members += 1
        self._decoder = _DECODERS[self._coding]()


def _malformed(error: Exception) -> EncodingMalformed:
    return EncodingMalformed(f"the body cannot be inflated: {error}")
