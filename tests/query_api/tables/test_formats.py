"""Which format an Accept header gets."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.tables.formats import Format, NotAcceptable, accepted


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", Format.JSON),
        ("*/*", Format.JSON),
        ("application/json", Format.JSON),
        ("text/csv", Format.CSV),
        ("text/*", Format.CSV),
        ("Text/CSV; charset=utf-8; header=present", Format.CSV),
        ("application/x-ndjson", Format.JSONL),
        ("application/*", Format.JSON),
        ("text/csv, */*", Format.CSV),
        ("application/json;q=0.5, text/csv;q=0.9", Format.CSV),
        ("*/*, application/json;q=0", Format.CSV),
        ("text/csv;q=0, */*;q=0.1", Format.JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format.JSON),
    ],
)
def test_a_client_gets_what_it_prefers(header: str, expected: Format) -> None:
    assert accepted(header) is expected


@pytest.mark.parametrize("header", ["text/html", "application/json;q=0", "*/*;q=0", "csv", ";", "image/*, text/plain"])
def test_who_takes_none_of_them_is_refused(header: str) -> None:
    with pytest.raises(NotAcceptable, match="text/csv"):
        accepted(header)


@given(header=st.text(alphabet="text/csv*apliojn;q=0.19, -x\té", max_size=60))
def test_any_header_gets_an_answer_or_a_refusal(header: str) -> None:
    with suppress(NotAcceptable):
        assert accepted(header) in Format
