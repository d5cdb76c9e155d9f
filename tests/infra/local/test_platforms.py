"""Each supported machine gets the binaries made for it, and any other a way out."""

import pytest

from infra.local import LocalServerError
from infra.local.platforms import platform_of


@pytest.mark.parametrize(
    ("system", "machine", "postgres", "archive", "redis"),
    [
        ("Linux", "x86_64", "linux-amd64", "postgres-linux-x86_64.txz", "redis-server-6.2.6-v5-linux-amd64"),
        ("Linux", "aarch64", "linux-arm64v8", "postgres-linux-arm_64.txz", "redis-server-6.2.7-linux-arm64"),
        ("Darwin", "x86_64", "darwin-amd64", "postgres-darwin-x86_64.txz", "redis-server-6.2.6-v5-darwin-amd64"),
        ("Darwin", "arm64", "darwin-arm64v8", "postgres-darwin-arm_64.txz", "redis-server-6.2.6-v5-darwin-arm64"),
    ],
)
def test_a_machine_gets_the_binaries_made_for_it(
    system: str, machine: str, postgres: str, archive: str, redis: str
) -> None:
    platform = platform_of(system, machine)

    assert platform.postgres_artefact == postgres
    assert platform.postgres_archive == archive
    assert platform.redis_binary == redis


def test_an_unsupported_machine_is_pointed_to_containers() -> None:
    with pytest.raises(LocalServerError, match=r"Windows on AMD64.*docker-compose\.yml"):
        platform_of("Windows", "AMD64")
