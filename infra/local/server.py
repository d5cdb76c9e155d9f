"""What every local server has in common: a site to run on, how it is made ready to start, and how it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.local.artefacts import Artefacts
from infra.local.platforms import Platform
from infra.local.processes import Launch


@dataclass(frozen=True)
class Site:
    """The ground that one server stands on: its directory, its ports by name, and what it is run with."""

    home: Path
    ports: Mapping[str, int]
    java: Path | None
    artefacts: Artefacts
    platform: Platform
    say: Callable[[str], None]

    @property
    def jre(self) -> Path:
        """The Java to run on; only servers that need one ask."""
        if self.java is None:
            raise AssertionError("a server that runs on Java was given none")
        return self.java

    def resolved(self, server: str, unpack: Callable[[Path], None] | None = None) -> Path:
        """The directory of the server's artefacts, after telling of the wait that a first time takes."""
        if not self.artefacts.home(server).is_dir():
            self.say(f"{server}: resolving its artefacts with Maven, once")
        return self.artefacts.directory(server, java=self.java, unpack=unpack)


class Server(Protocol):
    """One of the four; the first of its ports is the one that clients talk to."""

    @property
    def name(self) -> str: ...

    @property
    def port_names(self) -> tuple[str, ...]: ...

    @property
    def needs_java(self) -> bool: ...

    def prepare(self, site: Site) -> Launch:
        """Resolve, configure and, the first time, create what the server needs; the way to start it."""

    def serves(self, port: int) -> bool:
        """Whether it answers on `port` in its own protocol."""
