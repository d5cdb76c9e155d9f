"""Bodies that are inflated while they arrive: infra/http/inflating_streams.py."""

import gzip
import random
import zlib
from collections.abc import Callable, Iterator

import brotli
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from infra.http.inflating import CHUNK_BYTES, EncodingMalformed, EncodingUnknown
from infra.http.inflating_streams import InflatingStream

TEXT = b"".join(b'{"seq":%d,"type":"heartbeat","position_ms":%d}\n' % (seq, seq * 7919) for seq in range(20_000))
SPARE = 64 * 1024
"""How much more than asked for brotli makes at a time."""


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


CODINGS: list[tuple[bytes, Callable[[bytes], bytes]]] = [
    (b"gzip", gzip.compress),
    (b"deflate", zlib.compress),
    (b"deflate", raw_deflate),
    (b"br", brotli.compress),
    (b"zstd", zstd.compress),
]
each_coding = pytest.mark.parametrize(("coding", "compress"), CODINGS, ids=["gzip", "zlib", "raw", "br", "zstd"])


def pieces(coding: bytes, *compressed: bytes) -> Iterator[bytes]:
    stream = InflatingStream(coding)
    for each in compressed:
        yield from stream.feed(each)
    stream.end()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@each_coding
@pytest.mark.parametrize("size", [1, 1000, 10**9])
def test_what_was_compressed_comes_out_however_it_arrives(
    coding: bytes, compress: Callable[[bytes], bytes], size: int
) -> None:
    text = TEXT[: 30_000 if size == 1 else None]
    assert b"".join(pieces(coding, *cut(compress(text), size))) == text


@given(data=st.binary(max_size=2_000), seed=st.integers(0, 10**6))
def test_any_bytes_come_out_of_any_coding_in_any_pieces(data: bytes, seed: int) -> None:
    chance = random.Random(seed)
    for coding, compress in CODINGS:
        compressed, at, sent = compress(data), 0, []
        while at < len(compressed):
            sent.append(compressed[at : (at := at + chance.randint(1, 400))])
        assert b"".join(pieces(coding, *sent)) == data


@each_coding
def test_a_bomb_comes_out_in_small_pieces(coding: bytes, compress: Callable[[bytes], bytes]) -> None:
    bomb = compress(bytes(1 << 26))
    taken = 0
    for piece in pieces(coding, bomb):
        assert len(piece) <= CHUNK_BYTES + SPARE
        taken += len(piece)
    assert taken == 1 << 26


@each_coding
def test_a_body_that_is_cut_off_is_told(coding: bytes, compress: Callable[[bytes], bytes]) -> None:
    with pytest.raises(EncodingMalformed, match="cut off"):
        list(pieces(coding, compress(TEXT)[:-9]))


@each_coding
def test_an_empty_body_is_cut_off(coding: bytes, compress: Callable[[bytes], bytes]) -> None:
    assert list(pieces(coding, compress(b""))) == []
    with pytest.raises(EncodingMalformed, match="cut off"):
        list(pieces(coding))


@each_coding
def test_what_is_not_compressed_is_told(coding: bytes, compress: Callable[[bytes], bytes]) -> None:
    with pytest.raises(EncodingMalformed):
        list(pieces(coding, b"\xff{this is no compressed body, whatever is said of it}" * 10))


@pytest.mark.parametrize(("coding", "compress"), [CODINGS[0], CODINGS[4]], ids=["gzip", "zstd"])
def test_one_member_may_follow_another(coding: bytes, compress: Callable[[bytes], bytes]) -> None:
    assert b"".join(pieces(coding, compress(b"one") + compress(b"two"), compress(b"three"))) == b"onetwothree"
    with pytest.raises(EncodingMalformed, match="members"):
        list(pieces(coding, compress(b"one") * 17))


@pytest.mark.parametrize(("coding", "compress"), CODINGS[1:4], ids=["zlib", "raw", "br"])
def test_nothing_follows_the_end_of_a_body_that_has_one_member(
    coding: bytes, compress: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(EncodingMalformed):
        list(pieces(coding, compress(TEXT), b"more"))


def test_a_window_that_would_take_much_memory_is_refused() -> None:
    parameter = zstd.CompressionParameter
    options: dict[int, int] = {parameter.window_log: 27, parameter.enable_long_distance_matching: 1}
    compressor = zstd.ZstdCompressor(options=options)
    wide = compressor.compress(TEXT) + compressor.flush()
    with pytest.raises(EncodingMalformed, match="too much memory"):
        list(pieces(b"zstd", wide))


@pytest.mark.parametrize("coding", [b"compress", b"gzip, gzip", b"", b"identity"])
def test_an_unknown_coding_is_refused(coding: bytes) -> None:
    with pytest.raises(EncodingUnknown):
        InflatingStream(coding)
