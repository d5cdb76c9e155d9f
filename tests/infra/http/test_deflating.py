"""Which coding a client likes best, and that what is compressed is read as it was, a piece at a time too."""

import pytest

from infra.http.deflating import OFFERED, coding_for, codings_of
from infra.http.inflating_streams import InflatingStream
from infra.settings import Settings

PIECES = [b'{"title_id": "heat"}\n' * 40, b"", b'{"title_id": "ran"}\n', b"x" * 300_000]


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        (b"", None),
        (b"identity", None),
        (b"gzip", b"gzip"),
        (b"x-gzip", b"gzip"),
        (b"GZIP", b"gzip"),
        (b"deflate", None),
        (b"*", b"zstd"),
        (b"gzip, deflate, br", b"br"),
        (b"gzip, deflate, br, zstd", b"zstd"),
        (b"gzip;q=1.0, br;q=0.9, zstd;q=0.1", b"gzip"),
        (b"gzip;q=0", None),
        (b"gzip;q=0, *", b"zstd"),
        (b"zstd;q=0, *;q=0.5", b"br"),
        (b"gzip;q=0.5, identity", None),
        (b"gzip;q=0.5, identity;q=0.2", b"gzip"),
        (b"identity;q=0, gzip;q=0.1", b"gzip"),
        (b"gzip ; q=0.8 , br ; Q=0.9", b"br"),
        (b"gzip;q=2, br;q=nan, zstd;q=", None),
        (b"gzip;level=9", None),
    ],
)
def test_the_coding_that_a_client_likes_best_is_taken(header: bytes, coding: bytes | None) -> None:
    assert coding_for(header) == coding


@pytest.mark.parametrize("name", OFFERED)
def test_what_is_compressed_is_read_as_it_was(name: bytes) -> None:
    coding, whole = codings_of(Settings())[name], b"".join(PIECES)
    stream = InflatingStream(name)
    compressed = coding.whole(whole)
    assert b"".join(stream.feed(compressed)) == whole
    stream.end()
    assert len(compressed) < len(whole) / 20


@pytest.mark.parametrize("name", OFFERED)
def test_each_piece_of_a_stream_can_be_read_when_it_comes(name: bytes) -> None:
    deflater, stream = codings_of(Settings())[name].begin(), InflatingStream(name)
    for piece in PIECES:
        assert b"".join(stream.feed(deflater.piece(piece))) == piece
    assert b"".join(stream.feed(deflater.end())) == b""
    stream.end()
