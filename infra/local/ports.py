"""Free and taken TCP ports of the loopback address, the only one that local servers listen on."""

import hashlib
import socket
from collections.abc import Collection
from pathlib import Path

from infra.local.errors import LocalServerError

LOOPBACK = "127.0.0.1"
# Below the range from which Linux (32768) and macOS (49152) hand out ports to clients: there, a client that keeps
# reconnecting to a stopped server may be given the server's own port and keep it from coming back.
_LOWEST = 20_000
_COUNT = 10_000


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now. Connections that linger from an earlier server do not count."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((LOOPBACK, port))
            attempt.listen(1)
        except OSError:
            return False
    return not _answers(port)


def free_port(seed: Path, taken: Collection[int]) -> int:
    """A port that nobody listens on and that is not in `taken`; the search starts at a place of `seed`'s own."""
    start = int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:4], "big")
    for step in range(_COUNT):
        port = _LOWEST + (start + step) % _COUNT
        if port not in taken and is_free(port):
            return port
    raise LocalServerError(f"No port between {_LOWEST} and {_LOWEST + _COUNT - 1} is free.")


def require_free(server: str, port: int) -> None:
    """Refuse, naming the port and the server, when another process listens on `port`."""
    if not is_free(port):
        raise LocalServerError(
            f"Port {port}, which {server} is to listen on, is taken by another process. "
            f"Stop that process, or configure another port for {server}."
        )


def _answers(port: int) -> bool:
    """Whether something listens; on macOS a listener on all addresses does not hinder a bind to one of them."""
    with socket.socket() as attempt:
        attempt.settimeout(1)
        return attempt.connect_ex((LOOPBACK, port)) == 0
