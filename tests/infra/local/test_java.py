"""Only a Java 17 will do, and whoever has another is told which one and what to install."""

from pathlib import Path

import pytest

from infra.local import LocalServerError
from infra.local.java import choose_java, version_of


def a_java(home: Path, *, release: str | None = None, answer: str = "") -> Path:
    """A home with a `java` that answers `answer` to -version, and with a release file when it has one."""
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho '{answer}' >&2\n")
    java.chmod(0o755)
    if release is not None:
        (home / "release").write_text(f'IMPLEMENTOR="Somebody"\nJAVA_VERSION="{release}"\n')
    return home


def test_the_first_java_17_is_taken(tmp_path: Path) -> None:
    newer = a_java(tmp_path / "jdk-25", release="25.0.1")
    fitting = a_java(tmp_path / "jdk-17", release="17.0.15")

    assert choose_java([newer, fitting]) == fitting / "bin" / "java"


def test_a_java_without_a_release_file_is_asked(tmp_path: Path) -> None:
    home = a_java(tmp_path / "jdk", answer='openjdk version "17.0.2" 2022-01-18')

    assert version_of(home) == 17


def test_an_old_version_number_is_understood(tmp_path: Path) -> None:
    assert version_of(a_java(tmp_path / "jdk8", release="1.8.0_392")) == 8


def test_a_java_that_answers_nonsense_counts_as_none(tmp_path: Path) -> None:
    assert version_of(a_java(tmp_path / "odd", answer="hello")) is None


def test_another_version_is_named_with_what_to_install(tmp_path: Path) -> None:
    home = a_java(tmp_path / "jdk-25", release="25.0.1")

    with pytest.raises(LocalServerError) as refusal:
        choose_java([home])

    assert f"Java 17 is missing. Found only Java 25 in {home}." in str(refusal.value)
    assert "openjdk-17-jdk-headless" in str(refusal.value)
    assert "PLAYHEAD_JAVA_HOME" in str(refusal.value)


def test_no_java_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match=r"Java 17 is missing\. No Java was found at all\."):
        choose_java([tmp_path / "empty"])
