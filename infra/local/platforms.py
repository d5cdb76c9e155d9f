"""Which native binaries suit this machine: the one place that knows how the artefacts name a platform."""

import platform
from dataclasses import dataclass

from infra.local.errors import LocalServerError


@dataclass(frozen=True)
class Platform:
    """The names under which the artefacts hold the binaries of one operating system and processor."""

    postgres_artefact: str
    postgres_archive: str
    redis_binary: str


_PLATFORMS = {
    ("linux", "amd64"): Platform("linux-amd64", "postgres-linux-x86_64.txz", "redis-server-6.2.6-v5-linux-amd64"),
    ("linux", "arm64"): Platform("linux-arm64v8", "postgres-linux-arm_64.txz", "redis-server-6.2.7-linux-arm64"),
    ("darwin", "amd64"): Platform("darwin-amd64", "postgres-darwin-x86_64.txz", "redis-server-6.2.6-v5-darwin-amd64"),
    ("darwin", "arm64"): Platform("darwin-arm64v8", "postgres-darwin-arm_64.txz", "redis-server-6.2.6-v5-darwin-arm64"),
}
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def platform_of(system: str, machine: str) -> Platform:
    """The artefact names for what the operating system calls itself ("Linux") and its processor ("x86_64")."""
    known = _PLATFORMS.get((system.lower(), _MACHINES.get(machine.lower(), machine)))
    if known is None:
        raise LocalServerError(
            f"There are no native Postgres and Redis binaries for {system} on {machine} "
            "(Linux and macOS on amd64 and arm64 have them). Use docker-compose.yml instead."
        )
    return known


def this_platform() -> Platform:
    """The artefact names for the machine that this runs on."""
    return platform_of(platform.system(), platform.machine())
