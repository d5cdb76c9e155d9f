"""Email addresses: what is one, and which are the same."""

import pytest
from pydantic import BaseModel, ValidationError

from commands.identity.addresses import Email, deliverable, index_of, normalised


class Holder(BaseModel):
    email: Email


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("ann@example.com", "ann@example.com"),
        ("Ann.Smith+tv@EXAMPLE.com", "Ann.Smith+tv@example.com"),
        ("민아@예시.한국", "민아@예시.한국"),
        ("ann@xn--bcher-kva.example", "ann@bücher.example"),
        ("jose\u0301@example.com", "josé@example.com"),
        ("o'hara@example.com", "o'hara@example.com"),
        ("'or''1'='1@example.com", "'or''1'='1@example.com"),
    ],
)
def test_an_address_is_normalised(written: str, read: str) -> None:
    assert Holder(email=written).email == read


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@@example.com",
        "ann@localhost",
        "ann@[127.0.0.1]",
        '"ann smith"@example.com',
        "Ann <ann@example.com>",
        "ann@example.com, bob@example.com",
        "ann@example.com\nBcc: all@example.com",
        "ann@example.com\r\nSubject: spam",
        "ann\x00@example.com",
        "ann@exam\x00ple.com",
        "ann\u200b@example.com",
        "ann@exam\u200bple.com",
        "ann\u202e@example.com",
        "\u2066ann@example.com",
        "ann\ufeff@example.com",
        "ann @example.com",
        " ann@example.com",
        "ann@exa mple.com",
        "ann..smith@example.com",
        "\ud800@example.com",
        "a@" + "b" * 250 + ".com",
        "ann@" + ".".join(["b" * 60] * 5) + ".com",
        "x" * 100_000,
    ],
)
def test_what_is_no_address_is_refused(bad: str) -> None:
    with pytest.raises(ValidationError):
        Holder(email=bad)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann@example.com", "ANN@Example.COM"),
        ("josé@example.com", "JOSE\u0301@example.com"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("straße@example.com", "STRASSE@example.com"),
    ],
)
def test_one_address_written_in_two_ways_is_found_as_the_same(one: str, other: str) -> None:
    assert index_of(normalised(one)) == index_of(normalised(other))


@pytest.mark.parametrize(
    "lookalike",
    [
        "аnn@example.com",  # a Cyrillic a
        "ann@exаmple.com",  # there too
        "ann@example.co",
        "annｎ@example.com",  # a wide n is another letter
        "ann+tv@example.com",
        "a.nn@example.com",
    ],
)
def test_what_only_looks_alike_stays_different(lookalike: str) -> None:
    assert index_of(normalised(lookalike)) != index_of("ann@example.com")


def test_domains_that_differ_in_an_eszett_stay_different() -> None:
    assert index_of(normalised("ann@straße.example")) != index_of(normalised("ann@strasse.example"))


def test_mail_goes_to_the_domain_in_ascii() -> None:
    assert deliverable("ann@bücher.example") == "ann@xn--bcher-kva.example"
    assert deliverable("민아@예시.한국") == "민아@xn--vv4b11d.xn--3e0b707e"
