"""Lets a reply go on for longer than a request may take: server-sent events.

Such a reply leaves what bounds requests: its time (request_bounds.py) and its place among those under way
(perimeter.py). Whoever makes one bounds how many there are and how long they last, and ends them when the server does.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.types import Scope

from infra.http.perimeter import leave_place
from infra.http.protocol import CONNECTION, BoundedProtocol
from infra.http.request_bounds import lift_deadline
from infra.telemetry import note_latency


@contextmanager
def streamed(scope: Scope, on_shutdown: Callable[[], None]) -> Iterator[None]:
    """While a reply is sent that takes as long as it likes. `on_shutdown` is called when the server begins to end: it
    waits for settings.shutdown_grace_s, then cuts the reply off.
    """
    lift_deadline(scope)
    leave_place(scope)
    note_latency(scope)
    connection: BoundedProtocol | None = scope.get(CONNECTION)
    if connection is not None:
        connection.on_shutdown = on_shutdown
    try:
        yield
    finally:
        if connection is not None:
            connection.on_shutdown = None


def hang_up(scope: Scope) -> None:
    """Close the connection at once, whatever was not sent: for a client that does not read."""
    connection: BoundedProtocol | None = scope.get(CONNECTION)
    if connection is not None:
        connection.hang_up()
