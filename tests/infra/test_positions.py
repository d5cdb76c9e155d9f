"""The position token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.positions import BadPosition, Position, format_positions, parse_positions

positions = st.builds(
    Position,
    st.from_regex(r"[a-z]+\.events", fullmatch=True),
    st.integers(0, 1_000),
    st.integers(0, 2**53),
)


@given(st.lists(positions, min_size=1, max_size=16))
def test_a_token_comes_back_as_it_was_given(given_positions: list[Position]) -> None:
    assert parse_positions(format_positions(given_positions)) == given_positions


@pytest.mark.parametrize(
    "token", ["", "a", "a:1", "a:1:2:3", ":1:2", "a:-1:2", "a:1:²", "a:1:" + "9" * 30, "a:1:2," * 17]
)
def test_anything_else_is_refused(token: str) -> None:
    with pytest.raises(BadPosition):
        parse_positions(token)
