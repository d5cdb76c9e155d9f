"""Which port each server has: configured, or a free one that it then keeps, so that clients find it again."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from infra.local.errors import LocalServerError
from infra.local.ports import free_port, is_free
from infra.local.server import Server


class PortBook:
    """The ports of one state directory, by name; a name is a server's, or that of a port inside it."""

    def __init__(self, path: Path, configured: Mapping[str, int]) -> None:
        self._path = path
        self._configured = dict(configured)

    def remembered(self) -> dict[str, int]:
        """The ports that the servers had last."""
        try:
            kept = json.loads(self._path.read_text())
            return {str(name): int(port) for name, port in kept.items()}
        except (FileNotFoundError, ValueError, AttributeError):
            return {}

    def settle(self, servers: Sequence[Server], running: Collection[str], say: Callable[[str], None]) -> dict[str, int]:
        """The ports to start `servers` on, written down; those of the `running` ones stay what they are."""
        remembered = self.remembered()
        ports: dict[str, int] = {}
        for server in servers:
            for name in server.port_names:
                before = remembered.get(name)
                if server.name in running and before is not None:
                    ports[name] = self._kept(name, before)
                else:
                    taken = {*ports.values(), *self._configured.values()}
                    ports[name] = self._configured.get(name) or self._chosen(name, before, taken, say)
        self._path.write_text(json.dumps(ports, indent=2) + "\n")
        return ports

    def _kept(self, name: str, port: int) -> int:
        wanted = self._configured.get(name, port)
        if wanted != port:
            raise LocalServerError(
                f"{name} is configured for port {wanted} but runs on {port}: take the servers down first."
            )
        return port

    def _chosen(self, name: str, before: int | None, taken: Collection[int], say: Callable[[str], None]) -> int:
        if before is not None and before not in taken and is_free(before):
            return before
        port = free_port(self._path, taken)
        if before is not None:
            say(f"{name}: port {before}, which it had, is taken; it moves to {port}")
        return port
