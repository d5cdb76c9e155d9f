"""The servers' binaries: resolved by Maven from one pinned pom.xml a server, kept in a cache that processes share.

Maven's own settings say from which repository; none is named here.
"""

import hashlib
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from infra.local.errors import LocalServerError
from infra.local.locks import exclusive
from infra.local.platforms import Platform
from infra.local.processes import run_once

POMS = Path(__file__).parent / "poms"
_MAVEN_TIMEOUT_S = 900


class Artefacts:
    """The cache of resolved artefacts: one finished directory for each version of a pom.xml, and none half done."""

    def __init__(self, cache_dir: Path, platform: Platform) -> None:
        self._cache_dir = cache_dir
        self._platform = platform

    def require_maven(self, servers: tuple[str, ...]) -> None:
        """Refuse when one of `servers` still has to be resolved and there is no Maven to do it."""
        unresolved = [server for server in servers if not self.home(server).is_dir()]
        if unresolved and shutil.which("mvn") is None:
            raise LocalServerError(
                f"Maven is missing (no mvn on PATH): it resolves the artefacts of {', '.join(unresolved)}. "
                "Install Maven 3.8 or newer (Debian: maven, macOS: maven)."
            )

    def directory(self, server: str, *, java: Path | None, unpack: Callable[[Path], None] | None = None) -> Path:
        """The directory with the jars of `server`, or with what `unpack` makes of them; resolved when new."""
        home = self.home(server)
        if home.is_dir():
            return home
        # One at a time even for different servers: Maven's local repository, which they share, is not made for two.
        with exclusive(self._cache_dir / "resolving.lock"):
            if not home.is_dir():
                self._resolve(server, home, java, unpack)
        return home

    def _resolve(self, server: str, home: Path, java: Path | None, unpack: Callable[[Path], None] | None) -> None:
        with tempfile.TemporaryDirectory(dir=self._cache_dir, prefix=f"{server}.unfinished.") as workshop:
            resolved = Path(workshop) / "resolved"
            resolved.mkdir()
            self._copy_dependencies(server, resolved, java)
            if unpack is not None:
                unpack(resolved)
            _let_everybody_read(resolved)
            resolved.rename(home)

    def _copy_dependencies(self, server: str, into: Path, java: Path | None) -> None:
        # Maven finds a java by JAVA_HOME or PATH; where PATH has none, it is told of the one that was found.
        told = [f"JAVA_HOME={java.parent.parent}"] if java is not None and shutil.which("java") is None else []
        command = [
            *("env", *told, "mvn", "--quiet", "--batch-mode", "--file", str(POMS / server / "pom.xml")),
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={into}",
            f"-Dplayhead.platform={self._platform.postgres_artefact}",
        ]
        run_once(command, what=f"Resolving the artefacts of {server} with Maven", timeout_s=_MAVEN_TIMEOUT_S)

    def home(self, server: str) -> Path:
        """Where they are or will be: a directory for each set of versions, so that new ones are resolved."""
        pinned = hashlib.sha256((POMS / server / "pom.xml").read_bytes())
        pinned.update(repr(self._platform).encode())
        return self._cache_dir / f"{server}-{pinned.hexdigest()[:12]}"


def _let_everybody_read(directory: Path) -> None:
    """Whatever the umask was: other users share the cache, and Postgres may run as one of them."""
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            runnable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runnable else 0o644)
