"""Email addresses: as they are written to, and as they are found again."""

import unicodedata
from typing import Annotated, Final

from email_validator import validate_email
from pydantic import AfterValidator, Field

ADDRESS_MAX_CHARS: Final = 254
"""RFC 5321, section 4.5.3.1.3, less the angle brackets."""


def normalised(text: str) -> str:
    """An address as it is written to: NFC, its domain in lower case and in Unicode. Whether it exists, mail will tell.

    Raises ValueError for what is none: among others with a null character, a line break, or one that does not show (a
    zero-width space, a direction). Letters that only look alike stay different.
    """
    return validate_email(text, check_deliverability=False).normalized


def index_of(address: str) -> str:
    """What is the same for every way to write a normalised address, so that nobody registers it twice: people do not
    tell capitals apart. Mail goes to the address as it was proved, never to one that only has the same index.
    """
    local, _, domain = address.rpartition("@")
    return f"{unicodedata.normalize('NFC', local.casefold())}@{domain}"


def deliverable(address: str) -> str:
    """A normalised address as every mail server reads it: the domain in ASCII (IDNA)."""
    read = validate_email(address, check_deliverability=False)
    return read.ascii_email or f"{read.local_part}@{read.ascii_domain}"


Email = Annotated[str, Field(max_length=ADDRESS_MAX_CHARS, examples=["ann@example.com"]), AfterValidator(normalised)]
"""An address in a body, normalised."""
