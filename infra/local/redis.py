"""Redis as a cache that refuses rather than evicts; what it holds can be rebuilt, so it writes nothing to disk."""

import re
import shutil
import subprocess
import zipfile
from pathlib import Path

from infra.local import probes
from infra.local.errors import LocalServerError
from infra.local.ports import LOOPBACK
from infra.local.processes import Launch
from infra.local.server import Site

_BUNDLED_VERSION = (6, 2)
_PROBE_TIMEOUT_S = 10

_CONFIG = """\
bind {host}
port {port}
dir "{home}"
daemonize no
appendonly no
save ""
maxmemory-policy noeviction
"""


class Redis:
    """The server; "redis" is its port."""

    name = "redis"
    port_names = ("redis",)
    needs_java = False

    def prepare(self, site: Site) -> Launch:
        """Write the configuration, and choose the newer of the machine's redis-server and the resolved one."""
        site.home.mkdir(parents=True, exist_ok=True)
        binary = installed_binary() or self._resolved_binary(site)
        config = site.home / "redis.conf"
        config.write_text(_CONFIG.format(host=LOOPBACK, port=site.ports["redis"], home=site.home))
        return Launch((str(binary), str(config)), site.home)

    def serves(self, port: int) -> bool:
        """Whether it answers PING."""
        return probes.redis_serves(port)

    def _resolved_binary(self, site: Site) -> Path:
        wanted = site.platform.redis_binary

        def unpack(directory: Path) -> None:
            for jar in directory.glob("embedded-redis-*.jar"):
                with zipfile.ZipFile(jar) as archive:
                    archive.extract(wanted, directory)
                jar.unlink()
            (directory / wanted).chmod(0o755)

        return site.resolved(self.name, unpack) / wanted


def installed_binary() -> Path | None:
    """The redis-server on PATH when it is newer than the one that Maven resolves."""
    found = shutil.which("redis-server")
    if found is None:
        return None
    try:
        answer = subprocess.run(
            [found, "--version"], capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise LocalServerError(f"{found} is on PATH but does not run: {error}") from error
    return Path(found) if version_in(answer.stdout) > _BUNDLED_VERSION else None


def version_in(answer: str) -> tuple[int, int]:
    """(7, 0) of "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"."""
    stated = re.search(r"v=(\d+)\.(\d+)", answer)
    return (int(stated.group(1)), int(stated.group(2))) if stated else (0, 0)
