"""The JSON Schema of every event version, generated from its class: `playhead schemas` writes, `--check` only
compares.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from events.registry import REGISTRY, Registry, dataschema_of
from schemas.compatibility import Schema, breaks

DIRECTORY = Path(__file__).parent
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(type_name: str, registry: Registry = REGISTRY) -> Schema:
    """The schema of the data of events of a type."""
    return {
        "$schema": DIALECT,
        "$id": dataschema_of(type_name),
        **_as_json(msgspec.json.schema(registry.classes[type_name])),
    }


def _as_json(schema: Schema) -> Schema:
    """A schema as it is read back: a default of () is [] in JSON."""
    read: Schema = msgspec.json.decode(msgspec.json.encode(schema))
    return read


def file_of(type_name: str, directory: Path = DIRECTORY) -> Path:
    """Where a type's schema is kept."""
    return directory / Path(dataschema_of(type_name)).relative_to("/schemas")


def text_of(schema: Schema) -> str:
    """A schema as its file holds it."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def incompatibilities(registry: Registry = REGISTRY, directory: Path = DIRECTORY) -> Iterator[str]:
    """What would break readers or stored events, with what to do."""
    for file in sorted(directory.glob("*/*.json")):
        type_name = f"{file.parent.name}.{file.stem}"
        if type_name not in registry.classes:
            yield f"{type_name}: published, but its class is gone; bring it back, events of it are stored"
            continue
        published: Schema = msgspec.json.decode(file.read_bytes())
        for reason in breaks(published, schema_of(type_name, registry)):
            yield f"{type_name}: {reason}; make a new version of the event instead, with an upcaster"


def drift(registry: Registry = REGISTRY, directory: Path = DIRECTORY) -> Iterator[str]:
    """What is not on disk as the classes say it."""
    for type_name in registry.classes:
        file = file_of(type_name, directory)
        if not file.exists():
            yield f"{type_name}: has no schema yet; run `make schemas`"
        elif file.read_text() != text_of(schema_of(type_name, registry)):
            yield f"{type_name}: its schema is out of date; run `make schemas`"


def write(registry: Registry = REGISTRY, directory: Path = DIRECTORY) -> int:
    """Write every schema; how many there are. Call it only when there are no incompatibilities."""
    for type_name in registry.classes:
        file = file_of(type_name, directory)
        file.parent.mkdir(exist_ok=True)
        file.write_text(text_of(schema_of(type_name, registry)))
    return len(registry.classes)
