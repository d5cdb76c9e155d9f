"""Finds a Java 17: Kafka 4 needs at least that, and Cassandra 5 runs on nothing newer."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from infra.local.errors import LocalServerError

VERSION = 17
_PROBE_TIMEOUT_S = 20
_PLACES = (
    ("/usr/lib/jvm", "*"),
    ("/usr/java", "*"),
    ("/opt", "*j*"),
    ("/opt/java", "*"),
    ("/Library/Java/JavaVirtualMachines", "*/Contents/Home"),
    ("/opt/homebrew/opt", "openjdk@17/libexec/openjdk.jdk/Contents/Home"),
    ("/usr/local/opt", "openjdk@17/libexec/openjdk.jdk/Contents/Home"),
    ("~/.sdkman/candidates/java", "*"),
    ("~/.jdks", "*"),
)


def find_java(java_home: Path | None) -> Path:
    """The `java` of a version 17: of `java_home`, of PATH, or of the usual places, in that order."""
    return choose_java(_homes(java_home))


def choose_java(homes: Iterable[Path]) -> Path:
    """The first of `homes` that is a Java 17; the error names the versions that were found instead."""
    others: dict[str, Path] = {}
    for home in homes:
        version = version_of(home)
        if version == VERSION:
            return home / "bin" / "java"
        if version is not None:
            others.setdefault(f"Java {version} in {home}", home)
    found = f"Found only {', '.join(others)}." if others else "No Java was found at all."
    raise LocalServerError(
        f"Java {VERSION} is missing. {found} Kafka 4 needs 17 or newer and Cassandra 5 runs on 11 or 17 only: "
        f"install a JDK {VERSION} (Debian: openjdk-17-jdk-headless, macOS: openjdk@17), "
        "or point PLAYHEAD_JAVA_HOME to one."
    )


def version_of(home: Path) -> int | None:
    """The feature version of the Java in `home`, or None when there is no Java."""
    if not (home / "bin" / "java").exists():
        return None
    release = home / "release"
    if release.is_file():
        stated = re.search(r'^JAVA_VERSION="([^"]+)"', release.read_text(errors="replace"), re.MULTILINE)
        if stated:
            return _feature(stated.group(1))
    return _asked_version(home / "bin" / "java")


def _asked_version(java: Path) -> int | None:
    """What `java -version` answers; asked only where no release file says it, as it costs a JVM start."""
    try:
        answer = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    stated = re.search(r'version "([^"]+)"', answer.stderr + answer.stdout)
    return _feature(stated.group(1)) if stated else None


def _feature(version: str) -> int | None:
    """17 of "17.0.15", and 8 of "1.8.0_392"."""
    numbers = re.match(r"(?:1\.)?(\d+)", version)
    return int(numbers.group(1)) if numbers else None


def _homes(java_home: Path | None) -> Iterator[Path]:
    if java_home is not None:
        yield java_home
    on_path = shutil.which("java")
    if on_path is not None:
        yield Path(on_path).resolve().parent.parent
    for place, pattern in _PLACES:
        yield from sorted(Path(place).expanduser().glob(pattern))
