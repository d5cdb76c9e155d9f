"""Where things lie in the archive: names that hold offsets, so that the same is never written twice. Pure.

    topics/<topic>/day=YYYY-MM-DD/partition=NN/<first>-<last>-<digest>.parquet
    manifest/<topic>/<partition>/<level>/<follows>.json
    drafts/<id>            (of a local directory: what is being written)

What lies in topics/ is of the archive only if the manifest names it: read with Archive.files(), never by a pattern.
"""

from datetime import date
from typing import Final

DATA: Final = "topics"
MANIFEST: Final = "manifest"
DRAFTS: Final = "drafts"
ARCHIVED: Final = 0
COMPACTED: Final = 1
LEVELS: Final = (ARCHIVED, COMPACTED)
OFFSET_DIGITS: Final = 20
DIGEST_CHARS: Final = 16
OWN_CHARS: Final = 12


def data_path(topic: str, partition: int, day: date, span: tuple[int, int], digest: str) -> str:
    """Of a data file. `span`: its first and last offset; `digest`: SHA-256 of its bytes, in hex. What the archiver
    writes has equal names for equal files, so that what is left of one that was killed is used. What is compacted has a
    name of its own each time (`<digest>-<id>`), so that nothing swept is ever used.
    """
    first, last = span
    whole, _, own = digest.partition("-")
    unique = whole[:DIGEST_CHARS] + own[-OWN_CHARS:]
    name = f"{first:0{OFFSET_DIGITS}d}-{last:0{OFFSET_DIGITS}d}-{unique}.parquet"
    return f"{DATA}/{topic}/day={day.isoformat()}/partition={partition:02d}/{name}"


def entries_path(topic: str, partition: int, level: int) -> str:
    """Where the entries of a partition lie, of one level."""
    return f"{MANIFEST}/{topic}/{partition}/{level}"


def entry_path(topic: str, partition: int, level: int, follows: int) -> str:
    """Of the entry that goes on at an offset: there is one place for it, whatever its file holds."""
    return f"{entries_path(topic, partition, level)}/{follows:0{OFFSET_DIGITS}d}.json"


def follows_of(path: str) -> int | None:
    """The offset in an entry's name; None for a name that is no entry's."""
    name = path.rpartition("/")[2].removesuffix(".json")
    return int(name) if len(name) == OFFSET_DIGITS and name.isdigit() else None


def first_of(path: str) -> int | None:
    """The first offset in a data file's name; None for a name that is no data file's."""
    first = path.rpartition("/")[2].partition("-")[0]
    return int(first) if len(first) == OFFSET_DIGITS and first.isdigit() else None
