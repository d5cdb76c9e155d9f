"""The replies that are kept: as long as they hold, and no more of them than may be."""

import zlib

from infra.http.deflating import Coding, codings_of
from infra.http.representations import Whole
from infra.settings import Settings
from query_api.caching.memory import OVERHEAD_BYTES, Memory, Reply

PLACE = ("a",)


def memory_of(**bounds: int) -> Memory:
    return Memory(Settings(**{f"reply_cache_{name}": value for name, value in bounds.items()}))  # type: ignore[arg-type]


def reply_of(body: bytes = b"{}", until_s: float = 10.0) -> Reply:
    return Reply(Whole([], body), PLACE, until_s)


def test_a_reply_is_given_while_the_views_stand_and_its_time_is_not_over() -> None:
    memory, reply = memory_of(), reply_of()
    memory.put("asked", reply)
    assert memory.get("asked", PLACE, 9.9) is reply.whole
    assert memory.get("another", PLACE, 9.9) is None
    assert memory.get("asked", ("moved",), 9.9) is None
    assert memory.get("asked", PLACE, 9.9) is None  # it is forgotten: the views do not go back
    memory.put("asked", reply)
    assert memory.get("asked", PLACE, 10.0) is None


def test_what_was_not_asked_for_the_longest_goes_first() -> None:
    memory = memory_of(max_replies=2)
    for name in ("first", "second"):
        memory.put(name, reply_of())
    memory.get("first", PLACE, 0.0)
    memory.put("third", reply_of())
    memory.put("third", reply_of())
    kept = [name for name in ("first", "second", "third") if memory.get(name, PLACE, 0.0)]
    assert kept == ["first", "third"]


def test_replies_take_no_more_bytes_than_they_may() -> None:
    memory = memory_of(max_bytes=3 * (OVERHEAD_BYTES + 1_000))
    for name in range(4):
        memory.put(name, reply_of(b"x" * 1_000))
    assert [memory.get(name, PLACE, 0.0) is not None for name in range(4)] == [False, True, True, True]


def test_a_reply_that_is_too_large_is_not_kept() -> None:
    memory = memory_of(reply_max_bytes=2 * 1024)
    memory.put("asked", reply_of())
    memory.put("asked", reply_of(b"x" * 2_000))
    assert memory.get("asked", PLACE, 0.0) is None


async def test_a_reply_counts_with_what_it_was_compressed_to() -> None:
    memory = memory_of(max_bytes=2 * (OVERHEAD_BYTES + 1_000))
    for name in range(2):
        memory.put(name, reply_of(b"x" * 1_000))
    whole = memory.get(1, PLACE, 0.0)
    assert whole is not None
    as_it_is = Coding(lambda body: zlib.compress(body, 0), codings_of(Settings())[b"gzip"].begin)
    assert await whole.encoded(b"gzip", as_it_is, 10_000) is await whole.encoded(b"gzip", as_it_is, 10_000)
    assert memory.get(1, PLACE, 0.0) is whole
    assert memory.get(0, PLACE, 0.0) is None
