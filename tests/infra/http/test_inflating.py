"""Compressed bodies are inflated to what they were, or refused: never to more than the limit, whatever they declare."""

import gzip
import re
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.http.inflating import MEMBERS_MAX, EncodingMalformed, EncodingUnknown, InflatedTooLarge, Inflater

LIMIT: Final = 1 << 20
GIB: Final = 1 << 30
STATUS: Final = Path("/proc/self/status")
ROUGHLY: Final = 512 * 1024
"""What decoders need beside the limit: a chunk, and their own tables."""


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def brotli(data: bytes) -> bytes:
    return bytes(cramjam.brotli.compress(data, level=4))


def zstd(data: bytes) -> bytes:
    return bytes(cramjam.zstd.compress(data))


CODINGS: Final[list[tuple[bytes, Callable[[bytes], bytes]]]] = [
    (b"gzip", gzip.compress),
    (b"deflate", zlib.compress),
    (b"deflate", raw_deflate),
    (b"br", brotli),
    (b"zstd", zstd),
]
each_coding = pytest.mark.parametrize(("coding", "compress"), CODINGS, ids=lambda it: getattr(it, "__name__", ""))


@each_coding
@given(data=st.binary(max_size=3_000) | st.binary(min_size=1, max_size=20).map(lambda some: some * 9_000))
def test_what_was_compressed_comes_back(coding: bytes, compress: Callable[[bytes], bytes], data: bytes) -> None:
    assert Inflater(LIMIT).inflate(coding, compress(data)) == data


@each_coding
@given(data=st.binary(min_size=1, max_size=300), cut=st.integers(min_value=1))
def test_a_body_that_is_cut_off_is_malformed(
    coding: bytes, compress: Callable[[bytes], bytes], data: bytes, cut: int
) -> None:
    compressed = compress(data)
    with pytest.raises(EncodingMalformed):
        Inflater(LIMIT).inflate(coding, compressed[: -1 - cut % len(compressed)])


@each_coding
@given(body=st.binary(max_size=300))
def test_whatever_comes_is_inflated_or_refused(coding: bytes, compress: Callable[[bytes], bytes], body: bytes) -> None:
    inflater = Inflater(LIMIT)
    for sent in (body, compress(b"12")[:8] + body):
        with suppress(EncodingMalformed, InflatedTooLarge):
            assert len(inflater.inflate(coding, sent)) <= LIMIT


@each_coding
def test_the_limit_is_taken_and_one_byte_more_is_not(coding: bytes, compress: Callable[[bytes], bytes]) -> None:
    inflater = Inflater(LIMIT)
    assert inflater.inflate(coding, compress(bytes(LIMIT))) == bytes(LIMIT)
    with pytest.raises(InflatedTooLarge):
        inflater.inflate(coding, compress(bytes(LIMIT + 1)))


@each_coding
def test_one_body_leaves_nothing_of_itself_to_the_next(coding: bytes, compress: Callable[[bytes], bytes]) -> None:
    inflater = Inflater(LIMIT)
    inflater.inflate(coding, compress(b"a secret that is long"))
    assert inflater.inflate(coding, compress(b"short")) == b"short"


def test_a_gzip_body_may_have_several_members_and_not_endlessly_many() -> None:
    inflater = Inflater(LIMIT)
    members = [b"%d" % number for number in range(MEMBERS_MAX)]
    assert inflater.inflate(b"gzip", b"".join(map(gzip.compress, members))) == b"".join(members)
    with pytest.raises(EncodingMalformed, match="members"):
        inflater.inflate(b"gzip", gzip.compress(b"") * (MEMBERS_MAX + 1))


def test_members_are_bounded_together() -> None:
    with pytest.raises(InflatedTooLarge):
        Inflater(LIMIT).inflate(b"gzip", gzip.compress(bytes(LIMIT // 2 + 1)) * 2)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"gzip", gzip.compress(b"{}") + b"more"),
        (b"deflate", zlib.compress(b"{}") + b"more"),
        (b"deflate", raw_deflate(b"{}") + b"more"),
        (b"zstd", zstd(b"{}") + b"more"),
        (b"gzip", gzip.compress(b"{}")[:-8] + bytes(8)),
        (b"deflate", zlib.compress(b"{}")[:-4] + bytes(4)),
    ],
    ids=["more", "more", "more", "more", "checksum", "checksum"],
)
def test_a_body_that_is_not_whole_and_alone_is_malformed(coding: bytes, body: bytes) -> None:
    with pytest.raises(EncodingMalformed):
        Inflater(LIMIT).inflate(coding, body)


@pytest.mark.parametrize("coding", [b"gzip", b" GZIP ", b"x-gzip"])
def test_a_coding_is_named_in_any_case_and_gzip_by_its_old_name_too(coding: bytes) -> None:
    assert Inflater(LIMIT).inflate(coding, gzip.compress(b"{}")) == b"{}"


@pytest.mark.parametrize("coding", [b"gzip, gzip", b"gzip, br", b"compress", b"identity", b"", b"\xff", b"dcb"])
def test_other_codings_and_several_on_top_of_each_other_are_unknown(coding: bytes) -> None:
    with pytest.raises(EncodingUnknown):
        Inflater(LIMIT).inflate(coding, gzip.compress(gzip.compress(b"{}")))


@lru_cache
def gzip_bomb(wbits: int) -> bytes:
    compressor = zlib.compressobj(9, wbits=wbits)
    return b"".join([*(compressor.compress(bytes(LIMIT)) for _ in range(GIB // LIMIT)), compressor.flush()])


def brotli_bomb() -> bytes:
    """A gigabyte in meta-blocks of 16 MiB."""
    compressor = cramjam.brotli.Compressor(level=3)
    for _ in range(GIB // LIMIT):
        compressor.compress(bytes(LIMIT))
    return bytes(compressor.finish())


def zstd_bomb(descriptor: str) -> bytes:
    """A gigabyte in blocks that repeat one byte 128 KiB times (RFC 8878, 3.1.1.2), behind a frame's header."""
    block = (131_072 << 3) | (1 << 1)
    return bytes.fromhex("28b52ffd" + descriptor) + (block.to_bytes(3, "little") + b"a") * (GIB // 131_072)


BOMBS: Final[list[tuple[bytes, Callable[[], bytes]]]] = [
    (b"gzip", lambda: gzip_bomb(31)),
    (b"deflate", lambda: gzip_bomb(15)),
    (b"deflate", lambda: gzip_bomb(-15)),
    (b"br", brotli_bomb),
    (b"zstd", lambda: zstd_bomb("0088")),  # a window of 128 MiB, and no word on the size
    (b"zstd", lambda: zstd_bomb("a000000040")),  # one segment, which declares 1 GiB
]


def resident_peak_bytes(*, is_new: bool = False) -> int:
    """The most memory that this process held, since it was last asked with `is_new`; 0 where there is no /proc."""
    if not STATUS.exists():
        return 0
    if is_new:
        STATUS.with_name("clear_refs").write_text("5")
    [peak_kb] = re.findall(r"VmHWM:\s+(\d+) kB", STATUS.read_text())
    return int(peak_kb) * 1024


@pytest.mark.parametrize(("coding", "bomb"), BOMBS, ids=["gzip", "zlib", "raw", "br", "zstd window", "zstd declared"])
def test_a_bomb_of_a_gigabyte_takes_no_more_memory_than_the_limit(coding: bytes, bomb: Callable[[], bytes]) -> None:
    body = bomb()
    assert len(body) < 2 * LIMIT
    inflater = Inflater(LIMIT)
    before_bytes = resident_peak_bytes(is_new=True)
    tracemalloc.start()
    try:
        with pytest.raises(InflatedTooLarge):
            inflater.inflate(coding, body)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < LIMIT + ROUGHLY
    assert resident_peak_bytes() - before_bytes < 8 * LIMIT, "with what decoders take that do not ask Python for it"
