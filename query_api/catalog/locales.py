"""Which language a title is shown in: the reader's languages in their order, then the title's own default."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Final

import msgspec
from fastapi import Depends, Header

HEADER: Final = "Accept-Language"
HEADER_MAX_CHARS: Final = 500
MOST_LOCALES: Final = 10
_RANGE: Final = re.compile(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?")


class Text(msgspec.Struct, frozen=True):
    """What a title is called in a language, as the projection keeps it."""

    locale: str
    name: str
    synopsis: str = ""
    tagline: str = ""


class Locales(msgspec.Struct, frozen=True):
    """Language tags in lower case, the best first, each followed by its shorter forms (RFC 4647, lookup)."""

    tags: tuple[str, ...]

    @property
    def language(self) -> str:
        """The best language without its region; "" when none was asked for."""
        return self.tags[0].partition("-")[0] if self.tags else ""

    def reads(self, locale: str) -> bool:
        """Whether a language is among those asked for."""
        return locale.lower() in self.tags or locale.partition("-")[0].lower() in self.tags

    def choose(self, texts: Sequence[Text], default_locale: str) -> Text | None:
        """The text to show. A reader of ko-KR gets ko-KR, ko or ko-KP, whichever is there first, and then goes on
        to the next language; a text without a synopsis borrows that of the next. None when there are no texts.
        """
        ranked = sorted(texts, key=lambda text: self._rank(text.locale.lower(), default_locale.lower()))
        if not ranked:
            return None
        first = ranked[0]
        if first.synopsis:
            return first
        borrowed = next((text.synopsis for text in ranked if text.synopsis), "")
        return msgspec.structs.replace(first, synopsis=borrowed)

    def _rank(self, locale: str, default_locale: str) -> tuple[int, int]:
        if locale in self.tags:
            return self.tags.index(locale), 0
        language = locale.partition("-")[0]
        if language in self.tags:  # another region of a language that is read
            return self.tags.index(language), 1
        return len(self.tags), int(locale != default_locale)


def _shorter(tag: str) -> Iterator[str]:
    """A tag and its shorter forms: zh-hant-tw, zh-hant, zh."""
    while tag:
        yield tag
        tag = tag.rpartition("-")[0]


@lru_cache(maxsize=4096)
def parse_locales(header: str) -> Locales:
    """The languages of an Accept-Language header; what cannot be read in it is passed over (RFC 9110, 12.5.4)."""
    ranges = (_RANGE.fullmatch(part) for part in header.split(","))
    weighted = [(float(match[2] or 1), match[1].lower()) for match in ranges if match]
    wanted = [tag for weight, tag in sorted(weighted, key=lambda one: -one[0]) if weight > 0]
    return Locales(tuple(dict.fromkeys(form for tag in wanted[:MOST_LOCALES] for form in _shorter(tag))))


async def accepted_locales(
    header: Annotated[
        str,
        Header(
            alias=HEADER,
            max_length=HEADER_MAX_CHARS,
            description="The languages to show names in, best first",
            examples=["ko-KR, en;q=0.5"],
        ),
    ] = "",
) -> Locales:
    """The languages that a request asks for."""
    return parse_locales(header)


Languages = Annotated[Locales, Depends(accepted_locales)]
