"""Compresses replies: whole ones, and those that are sent piece by piece, so that each piece can be read when it comes.

inflating.py is the other direction.
"""

import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

import brotli
from backports import zstd

from infra.http.inflating import GZIP_WBITS
from infra.settings import Settings

HEADERS_KEPT: Final = 256
"""Values of Accept-Encoding whose meaning is kept: browsers send a dozen."""
STREAM_WINDOW_LOG: Final = 17
"""128 KiB of what was sent are looked back at: a stream holds that much memory while it lasts."""
IDENTITY: Final = b"identity"


class Deflater(Protocol):
    """One compressed stream."""

    def piece(self, body: bytes) -> bytes:
        """What is to be sent so that all of a piece can be read."""

    def end(self) -> bytes:
        """What ends the stream."""


class _Gzip:
    def __init__(self, level: int) -> None:
        self._inner = zlib.compressobj(level, zlib.DEFLATED, GZIP_WBITS)

    def piece(self, body: bytes) -> bytes:
        return self._inner.compress(body) + self._inner.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._inner.flush()


class _Brotli:
    def __init__(self, level: int) -> None:
        self._inner = brotli.Compressor(mode=brotli.MODE_TEXT, quality=level, lgwin=STREAM_WINDOW_LOG)

    def piece(self, body: bytes) -> bytes:
        return bytes(self._inner.process(body) + self._inner.flush())

    def end(self) -> bytes:
        return bytes(self._inner.finish())


class _Zstd:
    def __init__(self, level: int) -> None:
        parameter = zstd.CompressionParameter
        options: dict[int, int] = {parameter.compression_level: level, parameter.window_log: STREAM_WINDOW_LOG}
        self._inner = zstd.ZstdCompressor(options=options)

    def piece(self, body: bytes) -> bytes:
        return self._inner.compress(body, zstd.ZstdCompressor.FLUSH_BLOCK)

    def end(self) -> bytes:
        return self._inner.flush()


class Coding(NamedTuple):
    """A content coding: what compresses a whole body, and what begins a stream."""

    whole: Callable[[bytes], bytes]
    begin: Callable[[], Deflater]


def codings_of(settings: Settings) -> Mapping[bytes, Coding]:
    """The codings at the levels that are set, by name; of those that a client likes equally the first is taken."""
    of_zstd, of_br, of_gzip = settings.reply_zstd_level, settings.reply_br_level, settings.reply_gzip_level
    kept = zstd.ZstdCompressor(level=of_zstd)  # to make one takes longer than to compress a page, and frames are apart
    return {
        b"zstd": Coding(lambda body: kept.compress(body, zstd.ZstdCompressor.FLUSH_FRAME), lambda: _Zstd(of_zstd)),
        b"br": Coding(
            lambda body: bytes(brotli.compress(body, mode=brotli.MODE_TEXT, quality=of_br)), lambda: _Brotli(of_br)
        ),
        b"gzip": Coding(lambda body: zlib.compress(body, of_gzip, GZIP_WBITS), lambda: _Gzip(of_gzip)),
    }


OFFERED: Final = (b"zstd", b"br", b"gzip")


@lru_cache(HEADERS_KEPT)
def coding_for(accept_encoding: bytes) -> bytes | None:
    """The coding of OFFERED that a client likes best; None: it takes none, or likes the reply better as it is
    (RFC 9110, 12.5.3). What cannot be read in the header is passed over.
    """
    weights = dict(filter(None, map(_weighed, accept_encoding.split(b","))))
    others = weights.get(b"*", 0.0)
    gzip = max(weights.get(b"gzip", others), weights.get(b"x-gzip", 0.0))
    liked = {b"zstd": weights.get(b"zstd", others), b"br": weights.get(b"br", others), b"gzip": gzip}
    best = max(OFFERED, key=liked.__getitem__)
    return best if liked[best] > 0 and liked[best] >= weights.get(IDENTITY, 0.0) else None


def _weighed(part: bytes) -> tuple[bytes, float] | None:
    name, _, weight = part.partition(b";")
    key, _, value = weight.partition(b"=")
    if not weight.strip():
        return name.strip().lower(), 1.0
    try:
        quality = float(value)
    except ValueError:
        return None
    return (name.strip().lower(), quality) if key.strip().lower() == b"q" and 0 <= quality <= 1 else None
