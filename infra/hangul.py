"""Korean letters by arithmetic: what a syllable is made of, its initial consonant, and the keys that type it.

A syllable is (initial * 21 + vowel) * 28 + final from U+AC00 on (source: The Unicode Standard, 3.12).
"""

from collections.abc import Iterator
from typing import Final

FIRST: Final = 0xAC00
LAST: Final = 0xD7A3
INITIALS: Final = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS: Final = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_FINALS: Final = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"

_COMPOUND: Final = str.maketrans(
    {
        **{"ㅘ": "ㅗㅏ", "ㅙ": "ㅗㅐ", "ㅚ": "ㅗㅣ", "ㅝ": "ㅜㅓ", "ㅞ": "ㅜㅔ", "ㅟ": "ㅜㅣ", "ㅢ": "ㅡㅣ"},
        **{"ㄳ": "ㄱㅅ", "ㄵ": "ㄴㅈ", "ㄶ": "ㄴㅎ", "ㄺ": "ㄹㄱ", "ㄻ": "ㄹㅁ", "ㄼ": "ㄹㅂ", "ㄽ": "ㄹㅅ"},
        **{"ㄾ": "ㄹㅌ", "ㄿ": "ㄹㅍ", "ㅀ": "ㄹㅎ", "ㅄ": "ㅂㅅ"},
    }
)
"""Letters that are typed as two."""

# The layout that Korean keyboards have (두벌식, KS X 5002): a letter, and the Latin letter on its key. Shift doubles.
_KEYS: Final = dict(
    zip("ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔㅁㄴㅇㄹㅎㅗㅓㅏㅣㅋㅌㅊㅍㅠㅜㅡ", "qwertyuiopasdfghjklzxcvbnm", strict=True)
)
_SHIFTED: Final = {"ㅃ": "qq", "ㅉ": "ww", "ㄸ": "ee", "ㄲ": "rr", "ㅆ": "tt", "ㅒ": "oo", "ㅖ": "pp"}
_TO_KEYS: Final = str.maketrans({**_KEYS, **_SHIFTED})
_FROM_KEYS: Final = str.maketrans({key: letter for letter, key in _KEYS.items()})

_CONJOINING: Final = str.maketrans(
    {
        **{chr(0x1100 + place): letter for place, letter in enumerate(INITIALS)},
        **{chr(0x1161 + place): letter for place, letter in enumerate(_VOWELS)},
        **{chr(0x11A8 + place): letter for place, letter in enumerate(_FINALS)},
    }
)
"""The letters that Unicode keeps for building syllables, as the ones that stand alone (compatibility jamo)."""


def is_syllable(character: str) -> bool:
    """Whether a character is one of the 11,172 whole syllables."""
    return FIRST <= ord(character) <= LAST


def standing_alone(text: str) -> str:
    """Text whose letters, where they are not in a syllable, are compatibility jamo, as keyboards send them."""
    return text.translate(_CONJOINING)


def letters(text: str) -> str:
    """Text with its syllables taken apart into what is typed: 벅 gives ㅂㅓㄱ. So a syllable that is not finished yet
    begins like the finished one.
    """
    return text if text.isascii() else "".join(_apart(text)).translate(_COMPOUND)


def initials(text: str) -> str:
    """Text with each syllable as its initial consonant: 빅벅버니 gives ㅂㅂㅂㄴ."""
    return "".join(INITIALS[(ord(one) - FIRST) // 588] if is_syllable(one) else one for one in text)


def keys(text: str) -> str:
    """The Latin letters on the keys that type Korean text: 빅 gives qlr."""
    return letters(text).translate(_TO_KEYS)


def from_keys(text: str) -> str:
    """The Korean letters on the keys that type small Latin letters: qlr gives ㅂㅣㄱ."""
    return text.translate(_FROM_KEYS)


def _apart(text: str) -> Iterator[str]:
    for character in text:
        if not is_syllable(character):
            yield character
            continue
        rest, final = divmod(ord(character) - FIRST, 28)
        initial, vowel = divmod(rest, 21)
        yield INITIALS[initial] + _VOWELS[vowel] + (_FINALS[final - 1] if final else "")
