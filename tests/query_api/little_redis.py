"""A Redis that answers as a test tells it to, by the protocol that Redis speaks (RESP3)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import hiredis

from infra import redis as redis_client
from infra.redis import Redis
from infra.settings import Settings

Reply: TypeAlias = "Mapping[bytes, bytes] | Sequence[bytes] | Exception"
Answer: TypeAlias = Callable[[str, str], Awaitable[Reply]]
"""What is replied to a command about a key; ConnectionResetError: nothing, and the connection is closed."""


class Spoken:
    """What a client sent. `round_trips`: how often something of it came, once the client had said hello."""

    def __init__(self) -> None:
        self.round_trips = 0


@asynccontextmanager
async def little_redis(answer: Answer, *, timeout_s: float = 5.0) -> AsyncIterator[tuple[Redis, Spoken]]:
    """A client of a Redis that answers so."""
    spoken = Spoken()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands = hiredis.Reader()
        try:
            while arrived := await reader.read(65_536):
                commands.feed(arrived)
                replies = [await _reply(command, answer) for command in iter(commands.gets, False)]
                spoken.round_trips += any(asks for asks, _ in replies)
                writer.write(b"".join(reply for _, reply in replies))
        except ConnectionResetError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = redis_client.connect(Settings(redis_url=f"redis://127.0.0.1:{port}/0", query_timeout_s=timeout_s))
        yield client, spoken
        await client.aclose()


async def _reply(command: list[bytes], answer: Answer) -> tuple[bool, bytes]:
    """Whether a command asks for a key, and the reply to it."""
    verb, *arguments = (each.decode() for each in command)
    if verb == "HELLO":
        return False, b"%1\r\n$5\r\nproto\r\n:3\r\n"
    if verb == "CLIENT":
        return False, b"+OK\r\n"
    return True, _encoded(await answer(verb, arguments[0]))


def _encoded(reply: Reply) -> bytes:
    if isinstance(reply, ConnectionResetError):
        raise reply
    if isinstance(reply, Exception):
        return b"-%b\r\n" % str(reply).encode()
    if isinstance(reply, Mapping):
        return b"%%%d\r\n" % len(reply) + b"".join(_bulk(each) for pair in reply.items() for each in pair)
    return b"*%d\r\n" % len(reply) + b"".join(map(_bulk, reply))


def _bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)
