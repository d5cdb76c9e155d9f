"""Field types that the bodies of several contexts share."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a null character")
    return text


NulFree = AfterValidator(_without_nul)
"""Postgres cannot store a null character, so none gets as far as an event."""

Name = Annotated[str, Field(min_length=1, max_length=300), NulFree]
Code = Annotated[str, Field(min_length=1, max_length=100), NulFree]
Id = Annotated[str, Field(min_length=1, max_length=64, pattern="^[0-9a-zA-Z_-]+$")]


class Body(BaseModel):
    """A request body; a field that it does not know is refused, since it is more likely misspelt than meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)
