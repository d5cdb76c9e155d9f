"""Bodies of the OAuth routes: forms, read as RFC 6749 has them and refused as its clients expect."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from commands.identity.oauth.refusals import OAuthRequestInvalid

MEDIA_TYPE: Final = "application/x-www-form-urlencoded"
PARAMETERS_MAX: Final = 32
PARAMETER_MAX_CHARS: Final = 4096


async def form(request: Request) -> Mapping[str, str]:
    """The parameters that have a value. Raises OAuthRequestInvalid."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise OAuthRequestInvalid(f"send the parameters as {MEDIA_TYPE}")
    body = await request.body()
    try:
        given = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX)
    except ValueError as error:
        raise OAuthRequestInvalid("the form cannot be read") from error
    parameters = dict(given)
    if len(parameters) < len(given):
        raise OAuthRequestInvalid("a parameter comes twice")
    if any("\x00" in value or len(value) > PARAMETER_MAX_CHARS for value in parameters.values()):
        raise OAuthRequestInvalid(f"a parameter holds a null character, or more than {PARAMETER_MAX_CHARS}")
    return {name: value for name, value in parameters.items() if value}


Form: TypeAlias = Annotated[Mapping[str, str], Depends(form)]


def required(given: Mapping[str, str], name: str) -> str:
    """A parameter. Raises OAuthRequestInvalid where it is missing."""
    if name not in given:
        raise OAuthRequestInvalid(f"the parameter {name} is missing")
    return given[name]


def documented(example: Mapping[str, str], *names: str) -> dict[str, Any]:
    """The `openapi_extra=` of a route that takes such a form; the parameters named are required."""
    schema = {
        "type": "object",
        "required": list(names),
        "properties": {name: {"type": "string", "maxLength": PARAMETER_MAX_CHARS} for name in example},
    }
    return {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": schema, "example": dict(example)}}}}
