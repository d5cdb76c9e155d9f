"""The staff of an installation come back on later evenings, unless it does not know them any more."""

import stat
from pathlib import Path

import pytest

from playhead.demo.people.staff import Member, _read, _write

ADA = {"editor": Member("editor@evening.example", "secret", "desk")}


def test_what_staff_sign_in_with_is_kept_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "staff.json"
    _write(path, ADA)
    assert _read(path) == ADA
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [None, b"", b'{"editor": {"email"', b'{"editor": {}}'])
def test_staff_register_anew_when_nothing_readable_was_kept(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "staff.json"
    if content is not None:
        path.write_bytes(content)
    assert _read(path) == {}
