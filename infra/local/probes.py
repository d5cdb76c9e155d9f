"""Asks a server in its own protocol whether it serves; a port that merely accepts is not an answer.

Only the standard library, so that the servers can be started before anything is installed.
"""

import socket
import struct
from collections.abc import Callable

from infra.local.ports import LOOPBACK

_TIMEOUT_S = 2.0
_ANSWER_LIMIT_BYTES = 1 << 20


def kafka_serves(port: int, host: str = LOOPBACK) -> bool:
    """Whether the broker is registered: a Metadata (v1) answer names at least one broker."""
    api_key, api_version, correlation_id, no_topics = 3, 1, 1, 0
    client = b"playhead"
    body = struct.pack(">hhih", api_key, api_version, correlation_id, len(client)) + client
    body += struct.pack(">i", no_topics)

    def ask(connection: socket.socket) -> bool:
        connection.sendall(struct.pack(">i", len(body)) + body)
        (size,) = struct.unpack(">i", _exactly(connection, 4))
        answered_id, brokers = struct.unpack_from(">ii", _exactly(connection, size))
        return bool(answered_id == correlation_id and brokers > 0)

    return _asked((host, port), ask)


def cassandra_serves(port: int, host: str = LOOPBACK) -> bool:
    """Whether an OPTIONS frame (CQL v4) is answered with SUPPORTED."""
    version, answer_version, options, supported = 0x04, 0x84, 0x05, 0x06

    def ask(connection: socket.socket) -> bool:
        connection.sendall(struct.pack(">BBhBi", version, 0, 0, options, 0))
        answered_version, _, _, opcode, _ = struct.unpack(">BBhBi", _exactly(connection, 9))
        return bool(answered_version == answer_version and opcode == supported)

    return _asked((host, port), ask)


def postgres_serves(port: int, host: str = LOOPBACK) -> bool:
    """Whether a session of user and database `playhead` gets as far as ReadyForQuery."""
    names = b"user\0playhead\0database\0playhead\0application_name\0playhead-probe\0\0"
    protocol_3 = 196_608

    def ask(connection: socket.socket) -> bool:
        connection.sendall(struct.pack(">ii", 8 + len(names), protocol_3) + names)
        while True:
            kind, size = struct.unpack(">ci", _exactly(connection, 5))
            _exactly(connection, size - 4)
            if kind == b"E":
                return False
            if kind == b"Z":
                connection.sendall(b"X" + struct.pack(">i", 4))
                return True

    return _asked((host, port), ask)


def redis_serves(port: int, host: str = LOOPBACK) -> bool:
    """Whether PING is answered with PONG, which a server that still loads its data does not."""

    def ask(connection: socket.socket) -> bool:
        connection.sendall(b"PING\r\n")
        return _exactly(connection, 5) == b"+PONG"

    return _asked((host, port), ask)


def _asked(address: tuple[str, int], ask: Callable[[socket.socket], bool]) -> bool:
    """The answer over a fresh connection; refused, silent, or not understood means no."""
    try:
        with socket.create_connection(address, timeout=_TIMEOUT_S) as connection:
            return ask(connection)
    except (OSError, EOFError, struct.error):
        return False


def _exactly(connection: socket.socket, size: int) -> bytes:
    if not 0 <= size <= _ANSWER_LIMIT_BYTES:
        raise EOFError(f"an answer of {size} bytes is none of this protocol")
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        if not part:
            raise EOFError("the server closed the connection")
        received += part
    return received
