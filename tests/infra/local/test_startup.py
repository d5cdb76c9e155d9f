"""A start tells everything that is missing before it starts anything, and blames the server that failed."""

import sys
from pathlib import Path

import pytest

from infra.local import LocalServerError
from infra.local.artefacts import Artefacts
from infra.local.platforms import platform_of
from infra.local.processes import Launch, kill, read_running
from infra.local.server import Site
from infra.local.startup import Places, Startup

LINUX = platform_of("Linux", "x86_64")


class Program:
    """A server that is a Python program, and serves as soon as `serves` says so."""

    def __init__(self, name: str, program: str, *, serving: bool = True, needs_java: bool = False) -> None:
        self.name = name
        self.port_names = (name,)
        self.needs_java = needs_java
        self._program = program
        self._serving = serving

    def prepare(self, site: Site) -> Launch:
        site.home.mkdir(parents=True, exist_ok=True)
        return Launch((sys.executable, "-c", self._program), site.home)

    def serves(self, port: int) -> bool:
        return self._serving


def resolved(cache: Path, *servers: str) -> Artefacts:
    """Artefacts that are all there, so that no Maven is asked."""
    artefacts = Artefacts(cache, LINUX)
    for server in servers:
        artefacts.home(server).mkdir(parents=True)
    return artefacts


def startup(tmp_path: Path, **ports: int) -> Startup:
    return Startup(Places(tmp_path), ports, resolved(tmp_path / "cache", *ports), LINUX)


@pytest.fixture(autouse=True)
def no_poms_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """These servers have no pom.xml of their own; any will do."""
    for server in ("good", "bad", "slow"):
        (tmp_path / "poms" / server).mkdir(parents=True)
        (tmp_path / "poms" / server / "pom.xml").write_text("<project/>")
    monkeypatch.setattr("infra.local.artefacts.POMS", tmp_path / "poms")


def test_a_server_that_dies_is_quoted_and_blamed_though_another_was_asked_for_first(tmp_path: Path) -> None:
    slow = Program("slow", "import time; time.sleep(60)", serving=False)
    bad = Program("bad", "print('no space left on device'); raise SystemExit(1)", serving=False)

    with pytest.raises(LocalServerError) as failure:
        startup(tmp_path, slow=20_001, bad=20_002).run((slow, bad), java_home=None, say=print)

    assert "bad ended during its start" in str(failure.value)
    assert "no space left on device" in str(failure.value)
    kept = read_running(Places(tmp_path).mark("slow"))
    assert kept is not None
    kill(kept)


def test_a_server_that_serves_is_remembered_and_said(tmp_path: Path) -> None:
    good = Program("good", "import time; time.sleep(60)")
    said: list[str] = []

    startup(tmp_path, good=20_003).run((good,), java_home=None, say=said.append)

    kept = read_running(Places(tmp_path).mark("good"))
    assert kept is not None
    kill(kept)
    assert said[0].startswith("good: ready on port 20003 after ")


def test_everything_that_is_missing_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("infra.local.java._PLACES", ())
    good = Program("good", "", needs_java=True)
    unresolved = Startup(Places(tmp_path), {"good": 20_004}, Artefacts(tmp_path / "cache", LINUX), LINUX)

    with pytest.raises(LocalServerError) as refusal:
        unresolved.run((good,), java_home=None, say=print)

    assert "Java 17 is missing. No Java was found at all." in str(refusal.value)
    assert "Maven is missing (no mvn on PATH): it resolves the artefacts of good." in str(refusal.value)


def test_without_maven_resolved_artefacts_still_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    resolved(tmp_path / "cache", "good").require_maven(("good",))
