"""What text is searched by, and Korean letters by arithmetic."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import hangul
from infra.search_text import (
    MAX_BEGINNING,
    MAX_WORDS,
    are_initials,
    edit_distance,
    keyed,
    sort_name,
    tokens,
    words_of,
)

korean = st.text(st.characters(min_codepoint=hangul.FIRST, max_codepoint=hangul.LAST), min_size=1, max_size=8)
small = st.text("abc", max_size=7)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Big Buck Bunny", ["big", "buck", "bunny"]),
        ("  Amélie's  Ünïcode: “Test” ", ["amelies", "unicode", "test"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("빅 벅 버니!", ["빅", "벅", "버니"]),
        (unicodedata.normalize("NFD", "빅 벅"), ["빅", "벅"]),
        ("ㅂㅂㅂ", ["ㅂㅂㅂ"]),
        ("\u1107\u1107", ["ㅂㅂ"]),  # the letters that syllables are built of
        ("ㅂㅏㄱ", ["바ㄱ"]),
        ("ﾊﾟﾝ ガンダム", ["パン", "ガンダム"]),
        ("Ω Ёлка", ["ω", "елка"]),
        ("327: ①", ["327", "1"]),
        ("!?… 🎬", []),
        ("", []),
    ],
)
def test_words_are_compared_in_one_spelling(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(text=st.text(max_size=60))
def test_words_stay_what_they_are_however_often_they_are_taken(text: str) -> None:
    words = words_of(text)
    assert len(words) <= MAX_WORDS
    assert words_of(" ".join(words)) == words


@given(text=st.text(max_size=60))
def test_a_composed_and_a_decomposed_text_have_the_same_words(text: str) -> None:
    assert words_of(unicodedata.normalize("NFD", text)) == words_of(unicodedata.normalize("NFC", text))


@given(names=st.lists(st.text(max_size=40), max_size=4))
def test_no_token_holds_a_space_or_is_too_long(names: list[str]) -> None:
    found = tokens(names)
    assert found.split(" ") == sorted(set(found.split(" ")))
    assert all(len(token) <= 101 for token in found.split())
    assert len(max((token for token in found.split() if token[0] in "^'"), key=len, default="")) <= MAX_BEGINNING + 1


@pytest.mark.parametrize(
    ("text", "letters", "initials", "keys"),
    [
        ("빅벅버니", "ㅂㅣㄱㅂㅓㄱㅂㅓㄴㅣ", "ㅂㅂㅂㄴ", "qlrqjrqjsl"),
        ("닭과 왜", "ㄷㅏㄹㄱㄱㅗㅏ ㅇㅗㅐ", "ㄷㄱ ㅇ", "ekfrrhk dho"),
        ("까뜨", "ㄲㅏㄸㅡ", "ㄲㄸ", "rrkeem"),
        ("힣", "ㅎㅣㅎ", "ㅎ", "glg"),
        ("가A1", "ㄱㅏA1", "ㄱA1", "rkA1"),
    ],
)
def test_syllables_are_taken_apart(text: str, letters: str, initials: str, keys: str) -> None:
    assert (hangul.letters(text), hangul.initials(text), hangul.keys(text)) == (letters, initials, keys)


@given(text=korean)
def test_a_syllable_is_its_letters_as_unicode_decomposes_it(text: str) -> None:
    apart = hangul.standing_alone(unicodedata.normalize("NFD", text))
    assert hangul.letters(apart) == hangul.letters(text)
    assert hangul.initials(text) == "".join(hangul.standing_alone(unicodedata.normalize("NFD", one))[0] for one in text)
    assert are_initials(hangul.initials(text))


@given(text=korean)
def test_keys_are_latin_and_give_the_letters_back_unless_shifted(text: str) -> None:
    keys = hangul.keys(text)
    assert keys.isascii() and keys.islower()
    if not any(double in hangul.letters(text) for double in "ㅃㅉㄸㄲㅆㅒㅖ"):
        assert hangul.from_keys(keys) == hangul.letters(text)


@pytest.mark.parametrize(
    ("name", "sorted_by"),
    [("The Host", "host"), ("A", "a"), ("Les Misérables", "les miserables"), ("빅 벅", "빅 벅"), ("!!!", "!!!")],
)
def test_names_are_sorted_without_articles(name: str, sorted_by: str) -> None:
    assert sort_name(name) == sorted_by


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [
        ("sintle", "sintel", 1),
        ("sintel", "sintel", 0),
        ("sntel", "sintel", 1),
        ("sinteel", "sintel", 1),
        ("santel", "sintel", 1),
        ("kitten", "sitting", 3),
        ("", "ab", 2),
        ("abcdef", "", 4),
    ],
)
def test_edits_are_counted_up_to_a_bound(one: str, other: str, edits: int) -> None:
    assert edit_distance(one, other, 3) == edits


@given(one=small, other=small, most=st.integers(0, 3))
def test_edits_do_not_depend_on_the_side_or_the_bound(one: str, other: str, most: int) -> None:
    assert edit_distance(one, other, most) == edit_distance(other, one, most)
    assert edit_distance(one, other, most) == min(edit_distance(one, other, 9), most + 1)


def test_what_trigrams_are_made_of_is_latin() -> None:
    assert keyed(["빅", "buck"]) == "qlr buck"
