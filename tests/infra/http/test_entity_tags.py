"""Entity tags, and what If-None-Match names (RFC 9110, 8.8.3 and 13.1.2)."""

import pytest

from infra.http.entity_tags import names, tag_in, tag_of

TAG = tag_of(b"{}")


def test_a_tag_is_of_the_bytes_alone() -> None:
    assert tag_of(b"{}") == TAG
    assert tag_of(b"{ }") != TAG
    assert TAG.startswith(b'"')
    assert TAG.endswith(b'"')


def test_each_coding_has_a_tag_of_its_own_and_a_weak_one() -> None:
    tags = {TAG, tag_in(b"gzip", TAG), tag_in(b"br", TAG)}
    assert len(tags) == 3
    assert tag_in(b"gzip", TAG) == b'W/"' + TAG.strip(b'"') + b'-gzip"'


@pytest.mark.parametrize(
    "given", [b"*", b" * ", TAG, b"W/" + TAG, b'"a", ' + TAG, b'W/"a",W/' + TAG + b' , "b"', b'"with, comma", ' + TAG]
)
def test_a_tag_is_named_alone_in_a_list_weakly_or_with_any(given: bytes) -> None:
    assert names(given, TAG)
    assert names(given.replace(TAG, b'"x-gzip"'), b'W/"x-gzip"')


@pytest.mark.parametrize("given", [b"", b"w/" + b'"a"', TAG.strip(b'"'), b'"a"', b"**", TAG[:-1], b'"' + TAG])
def test_nothing_else_names_it(given: bytes) -> None:
    assert not names(given, TAG)
