"""Artefacts are resolved once, even by several processes at a time, and never seen half done."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.local import LocalServerError
from infra.local.artefacts import POMS, Artefacts
from infra.local.platforms import platform_of

LINUX = platform_of("Linux", "x86_64")


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for Maven on PATH that takes a moment and writes one jar; the file lists how it was called."""
    calls = tmp_path / "calls"
    mvn = tmp_path / "bin" / "mvn"
    mvn.parent.mkdir()
    mvn.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {calls}\n'
        'for option in "$@"; do case "$option" in -DoutputDirectory=*) into="${option#*=}";; esac; done\n'
        'sleep 0.2; echo jar > "$into/kafka.jar"\n'
    )
    mvn.chmod(0o755)
    monkeypatch.setenv("PATH", f"{mvn.parent}:/usr/bin:/bin")
    return calls


def test_artefacts_are_resolved_once(tmp_path: Path, calls: Path) -> None:
    artefacts = Artefacts(tmp_path / "cache", LINUX)

    first = artefacts.directory("kafka", java=None)
    second = artefacts.directory("kafka", java=None)

    assert first == second
    assert (first / "kafka.jar").read_text() == "jar\n"
    assert len(calls.read_text().splitlines()) == 1


def test_two_at_once_resolve_once_and_both_get_all(tmp_path: Path, calls: Path) -> None:
    def resolve(_: int) -> bool:
        return (Artefacts(tmp_path / "cache", LINUX).directory("kafka", java=None) / "kafka.jar").exists()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(resolve, range(2))) == [True, True]
    assert len(calls.read_text().splitlines()) == 1


def test_an_unpacking_that_fails_leaves_nothing_behind(tmp_path: Path, calls: Path) -> None:
    def fail(_: Path) -> None:
        raise OSError("disk full")

    artefacts = Artefacts(tmp_path / "cache", LINUX)
    with pytest.raises(OSError, match="disk full"):
        artefacts.directory("kafka", java=None, unpack=fail)

    assert [left.name for left in (tmp_path / "cache").iterdir()] == ["resolving.lock"]


def test_maven_is_told_the_platform(tmp_path: Path, calls: Path) -> None:
    Artefacts(tmp_path / "cache", platform_of("Darwin", "arm64")).directory("postgres", java=None)

    assert "-Dplayhead.platform=darwin-arm64v8" in calls.read_text()


def test_another_platform_has_artefacts_of_its_own(tmp_path: Path) -> None:
    darwin = Artefacts(tmp_path, platform_of("Darwin", "arm64"))

    assert darwin.home("postgres") != Artefacts(tmp_path, LINUX).home("postgres")


def test_a_failing_maven_is_quoted(tmp_path: Path, calls: Path) -> None:
    (tmp_path / "bin" / "mvn").write_text("#!/bin/sh\necho '[ERROR] no route to the repository'\nexit 1\n")

    with pytest.raises(LocalServerError) as failure:
        Artefacts(tmp_path / "cache", LINUX).directory("kafka", java=None)

    assert "Resolving the artefacts of kafka with Maven failed" in str(failure.value)
    assert "no route to the repository" in str(failure.value)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, calls: Path) -> None:
    (tmp_path / "cache").write_text("a file")

    with pytest.raises(LocalServerError, match=r"cache cannot be written"):
        Artefacts(tmp_path / "cache", LINUX).directory("kafka", java=None)


@pytest.mark.parametrize("server", ["kafka", "cassandra", "postgres", "redis"])
def test_every_version_is_pinned_and_no_repository_is_named(server: str) -> None:
    pom = (POMS / server / "pom.xml").read_text()

    assert pom.count("<version>") == pom.count("<artifactId>") - pom.count("<artifactId>*<")
    assert "SNAPSHOT" not in pom
    assert "<repositor" not in pom
    assert "<url>" not in pom


def test_artefacts_are_readable_by_other_users_whatever_the_umask(tmp_path: Path, calls: Path) -> None:
    def unpack(directory: Path) -> None:
        (directory / "bin").mkdir()
        (directory / "bin" / "initdb").write_text("")
        (directory / "bin" / "initdb").chmod(0o700)

    before = os.umask(0o077)
    try:
        home = Artefacts(tmp_path / "cache", LINUX).directory("postgres", java=None, unpack=unpack)
    finally:
        os.umask(before)

    modes = [stat.S_IMODE(path.stat().st_mode) for path in (home, home / "bin", home / "bin" / "initdb")]
    assert modes == [0o755, 0o755, 0o755]
    assert stat.S_IMODE((home / "kafka.jar").stat().st_mode) == 0o644
