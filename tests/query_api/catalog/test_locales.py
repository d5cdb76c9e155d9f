"""Which language a title is shown in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.catalog.locales import HEADER_MAX_CHARS, Locales, Text, parse_locales

TEXTS = (
    Text("en", "Parasite", "A family."),
    Text("ko", "기생충"),
    Text("pt-BR", "Parasita"),
    Text("zh-Hant", "寄生上流"),
)


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("", ()),
        ("ko-KR,ko;q=0.9,en;q=0.8", ("ko-kr", "ko", "en")),
        ("en;q=0.1, ko", ("ko", "en")),
        ("zh-Hant-TW", ("zh-hant-tw", "zh-hant", "zh")),
        ("fr;q=0, de", ("de",)),
        ("*, en ; q=0.5", ("en",)),
        ("<nonsense>, ko;q=2, en", ("en",)),
    ],
)
def test_languages_are_read_in_the_readers_order(header: str, tags: tuple[str, ...]) -> None:
    assert parse_locales(header) == Locales(tags)


@pytest.mark.parametrize(
    ("header", "default", "name"),
    [
        ("ko-KR", "en", "기생충"),
        ("pt-PT", "en", "Parasita"),  # another region of the same language
        ("zh-Hant-HK, ko", "en", "寄生上流"),
        ("fr, ko;q=0.5", "en", "기생충"),
        ("fr", "en", "Parasite"),
        ("", "ko", "기생충"),
        ("fr", "ja", "Parasite"),  # even its own default is missing
    ],
)
def test_a_title_is_shown_in_the_first_language_that_it_has(header: str, default: str, name: str) -> None:
    chosen = parse_locales(header).choose(TEXTS, default)
    assert chosen is not None and chosen.name == name


def test_a_text_without_a_synopsis_borrows_the_next() -> None:
    chosen = parse_locales("ko, en").choose(TEXTS, "en")
    assert chosen == Text("ko", "기생충", "A family.")


def test_a_title_without_texts_shows_none() -> None:
    assert parse_locales("ko").choose((), "en") is None


@given(header=st.text(max_size=HEADER_MAX_CHARS))
def test_any_header_can_be_read(header: str) -> None:
    assert parse_locales(header).choose(TEXTS, "en") is not None
