"""Signed page cursors."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.cursors import MAX_CHARS, BadCursor, Cursors


class After(msgspec.Struct):
    name: str
    number: int


class Other(msgspec.Struct):
    title: str


CURSORS = Cursors(b"k" * 32)
SCOPE = "history of viewer-1"

afters = st.builds(After, st.text(max_size=50), st.integers(-(2**53), 2**53))


@given(after=afters, scope=st.text(max_size=50))
def test_a_cursor_holds_what_was_signed(after: After, scope: str) -> None:
    assert CURSORS.read(scope, CURSORS.sign(scope, after), After) == after


@given(after=afters, place=st.integers(0, 10_000), other=st.sampled_from("ABCXYZabcxyz0189-_=+/ .\0é"))
def test_a_cursor_with_any_character_changed_is_refused(after: After, place: int, other: str) -> None:
    cursor = CURSORS.sign(SCOPE, after)
    place %= len(cursor)
    changed = cursor[:place] + other + cursor[place + 1 :]
    if changed != cursor:
        with pytest.raises(BadCursor):
            CURSORS.read(SCOPE, changed, After)


@given(after=afters, length=st.integers(0, 10_000))
def test_a_cursor_cut_short_is_refused(after: After, length: int) -> None:
    cursor = CURSORS.sign(SCOPE, after)
    with pytest.raises(BadCursor):
        CURSORS.read(SCOPE, cursor[: length % len(cursor)], After)


@given(cursor=st.text(max_size=100))
def test_text_that_was_never_a_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursor):
        CURSORS.read(SCOPE, cursor, After)


def test_a_cursor_of_another_listing_is_refused() -> None:
    with pytest.raises(BadCursor):
        CURSORS.read("history of viewer-2", CURSORS.sign(SCOPE, After("a", 1)), After)


def test_a_cursor_signed_with_another_key_is_refused() -> None:
    with pytest.raises(BadCursor):
        CURSORS.read(SCOPE, Cursors(b"other").sign(SCOPE, After("a", 1)), After)


def test_a_cursor_that_holds_another_shape_is_refused() -> None:
    with pytest.raises(BadCursor):
        CURSORS.read(SCOPE, CURSORS.sign(SCOPE, Other("t")), After)


def test_an_overlong_cursor_is_refused_unread() -> None:
    with pytest.raises(BadCursor):
        CURSORS.read(SCOPE, "A" * (MAX_CHARS + 1), After)


def test_a_cursor_needs_no_escaping_in_a_query() -> None:
    cursor = CURSORS.sign(SCOPE, After("\xff" * 40, 1))
    assert all(character.isalnum() or character in "-_" for character in cursor)
