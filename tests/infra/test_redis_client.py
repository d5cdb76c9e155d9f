"""What the client of Redis sends."""

import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st

from infra.redis import connect
from infra.settings import Settings

WORDS = st.text() | st.binary() | st.integers() | st.floats(allow_nan=False)
OURS = connect(Settings(redis_url="redis://127.0.0.1:6379/0")).connection_pool.make_connection()  # type: ignore[no-untyped-call]
THEIRS = redis.asyncio.Connection()


@given(st.sampled_from(["HVALS", "EVALSHA", "CLIENT SETINFO", b"HGETALL"]), st.lists(WORDS))
def test_a_command_is_sent_as_the_library_would_send_it(
    name: str | bytes, words: list[str | bytes | int | float]
) -> None:
    assert b"".join(OURS.pack_command(name, *words)) == b"".join(THEIRS.pack_command(name, *words))


def test_tls_is_spoken_where_the_url_says_so() -> None:
    over_tls = connect(Settings(redis_url="rediss://127.0.0.1:6379/0"))
    assert over_tls.connection_pool.connection_class is redis.asyncio.SSLConnection
