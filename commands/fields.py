"""Field types that the bodies of several contexts share."""

import unicodedata
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a null character")
    return text


JOINERS: Final = "\u200c\u200d"
"""Without a shape of their own, and yet part of words (Persian) and of pictures (emoji)."""


def _plain(text: str) -> str:
    normal = unicodedata.normalize("NFC", text).strip()
    kinds = [unicodedata.category(character) for character in normal if character not in JOINERS]
    if any(kind in {"Cc", "Cf", "Cs", "Zl", "Zp"} for kind in kinds):
        raise ValueError("holds a control character, or one that turns the direction of the text")
    if all(kind[0] in "ZM" for kind in kinds):
        raise ValueError("shows nothing")
    return normal


NulFree = AfterValidator(_without_nul)
"""Postgres cannot store a null character, so none gets as far as an event."""

Name = Annotated[str, Field(min_length=1, max_length=300), NulFree]
PlainName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_plain)]
"""A name that people choose for what is theirs: in one normal form (NFC), and without what makes it look like another
(Unicode TR 36)."""
Code = Annotated[str, Field(min_length=1, max_length=100), NulFree]
Id = Annotated[str, Field(min_length=1, max_length=64, pattern="^[0-9a-zA-Z_-]+$")]
Locale = Annotated[
    str,
    Field(
        pattern="^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$",
        description="BCP 47: a language, with a script and a region where they matter (ko, en-GB, zh-Hant)",
    ),
]


class Body(BaseModel):
    """A request body; a field that it does not know is refused, since it is more likely misspelt than meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)
