"""An API's document as a page for people: written here, without a script, so that it needs nothing from elsewhere.

FastAPI's own pages load theirs from a public server, which the perimeter's Content-Security-Policy forbids.
"""

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from typing import Any, Final

import msgspec

Document = dict[str, Any]  # an OpenAPI document, as FastAPI makes it

STYLE: Final = "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}pre{overflow:auto}"
_DIGEST: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; frame-ancestors 'none'"
"""The page's Content-Security-Policy: its own style, and nothing else."""


def page_of(document: Document) -> str:
    """The page."""
    title = escape(document["info"]["title"])
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>',
        f'<h1>{title}</h1><p>The whole document, schemas too: <a href="openapi.json">openapi.json</a></p>',
    ]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            parts += _operation(f"{method.upper()} {path}", operation)
    return "".join(parts)


def _operation(name: str, operation: Document) -> Iterator[str]:
    yield f"<details><summary><code>{escape(name)}</code> {escape(operation.get('summary', ''))}</summary>"
    yield f"<p>{escape(operation.get('description', ''))}</p><p>Needs: {escape(_needs(operation))}</p>"
    sent = operation.get("requestBody", {}).get("content", {})
    yield from (f"<p>Body, {escape(kind)}:</p>{_example(body)}" for kind, body in sent.items())
    for status, response in operation["responses"].items():
        yield f"<p>{escape(status)} {escape(response.get('description', ''))}</p>"
        if status.startswith("2"):
            yield from map(_example, response.get("content", {}).values())
    yield "</details>"


def _needs(operation: Document) -> str:
    ways = [f"{scheme} {' '.join(scopes)}" for way in operation.get("security", ()) for scheme, scopes in way.items()]
    return " or ".join(ways) or "nothing"


def _example(content: Document) -> str:
    if "example" not in content:
        return ""
    shown = msgspec.json.format(msgspec.json.encode(content["example"]), indent=2).decode()
    return f"<pre>{escape(shown)}</pre>"
