"""What text is searched by: the same pure functions make a title's tokens, on the write side, and a query's, on the
read side.

A token is a mark and a piece of text, so that one GIN index on arrays serves every way of matching:

    =bigbuckbunny          the whole name, without its spaces
    ^big                   what the name begins with; Korean in letters, so that 빅버 is the beginning of 빅벅버니
    'bun                   what a word begins with, to the whole word
    "벅버                  two characters next to each other, where words are not set off or queries have two syllables
    !ㅂㅂ                  two initial consonants next to each other
"""

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from infra import hangul

WHOLE, BEGINS, WORD, PAIR, INITIALS = "=", "^", "'", '"', "!"

MAX_WORDS: Final = 12
MAX_BEGINNING: Final = 16
"""Characters of the longest beginning that has a token; whoever looks up a longer one compares the rest itself."""
MAX_WHOLE: Final = 100
MAX_SORT_NAME: Final = 80

_ARTICLES: Final = ("the", "a", "an")

_UNSPACED: Final = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL")


def words_of(text: str) -> list[str]:
    """The words of a text as they are compared: one spelling (NFKC) and case, no accents, no punctuation."""
    one_spelling = hangul.standing_alone(unicodedata.normalize("NFKC", text)).casefold()
    kept = one_spelling if one_spelling.isascii() else "".join(map(_plain, one_spelling))
    return "".join(one if one.isalnum() else _gap(one) for one in kept).split()[:MAX_WORDS]


def sort_name(name: str) -> str:
    """What a name is sorted by, compared by code points: Korean syllables have the order of dictionaries there. An
    English article at the beginning does not count.
    """
    words = words_of(name)
    counting = words[1:] if len(words) > 1 and words[0] in _ARTICLES else words
    return " ".join(counting)[:MAX_SORT_NAME] or name[:MAX_SORT_NAME]


def name_tokens(name: str) -> Iterator[str]:
    """The tokens of a name."""
    words = words_of(name)
    whole = "".join(words)
    if not whole:
        return
    yield WHOLE + whole[:MAX_WHOLE]
    yield from (BEGINS + beginning for beginning in _beginnings(hangul.letters(whole)))
    for word in words:
        yield from (WORD + beginning for beginning in _beginnings(hangul.letters(word)))
    yield from pair_tokens(whole)
    yield from initials_tokens(hangul.initials(whole))


def tokens(names: Iterable[str]) -> str:
    """The tokens of all names of a title, each once, in order, with spaces between them: no token holds one."""
    return " ".join(sorted({token for name in names for token in name_tokens(name)}))


def beginning_token(mark: str, text: str) -> str:
    """The token of names (BEGINS) or words (WORD) that begin with a text without spaces."""
    return mark + hangul.letters(text)[:MAX_BEGINNING]


def pair_tokens(whole: str) -> Iterator[str]:
    """The pairs of characters of scripts whose words are not always set off by spaces."""
    return (PAIR + pair for pair in _pairs(whole) if is_unspaced(pair[0]) and is_unspaced(pair[1]))


def initials_tokens(consonants: str) -> Iterator[str]:
    """The tokens of names in which initial consonants, two or more, follow each other."""
    return (INITIALS + pair for pair in _pairs(consonants) if are_initials(pair))


def are_initials(text: str) -> bool:
    """Whether a text is nothing but consonants that a syllable can begin with."""
    return bool(text) and all(one in hangul.INITIALS for one in text)


def is_unspaced(character: str) -> bool:
    """Whether a character is Korean, Chinese or Japanese."""
    return not character.isascii() and unicodedata.name(character, "").startswith(_UNSPACED)


def keyed(words: Iterable[str]) -> str:
    """Words in Latin letters for pg_trgm, which in many locales sees no others: Korean by the keys that type it."""
    return " ".join(map(hangul.keys, words))


def edit_distance(one: str, other: str, most: int) -> int:
    """How many letters were left out, added, changed or swapped with the next one; `most` + 1 when more were
    (optimal string alignment).
    """
    if abs(len(one) - len(other)) > most or len(set(one) - set(other)) > most:  # no edit brings two letters
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, start=1):
        before, row, above = row, [at], before
        for to, wanted in enumerate(other, start=1):
            cost = min(before[to] + 1, row[to - 1] + 1, before[to - 1] + (letter != wanted))
            if at > 1 and to > 1 and letter == other[to - 2] and one[at - 2] == wanted:
                cost = min(cost, above[to - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)


def _plain(character: str) -> str:
    """A Latin, Greek or Cyrillic letter without its accents; others are whole with their marks."""
    decomposed = unicodedata.normalize("NFD", character)
    return (
        decomposed[0] if unicodedata.name(decomposed[0], "").startswith(("LATIN", "GREEK", "CYRILLIC")) else character
    )


def _gap(character: str) -> str:
    """Apostrophes and marks join what they stand in; other punctuation parts words."""
    return "" if character in "'’ʼ" or unicodedata.combining(character) else " "


def _beginnings(text: str) -> Iterator[str]:
    return (text[:length] for length in range(1, min(len(text), MAX_BEGINNING) + 1))


def _pairs(text: str) -> Iterator[str]:
    return (text[at : at + 2] for at in range(len(text) - 1))
