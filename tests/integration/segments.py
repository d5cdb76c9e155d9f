"""Kafka's files, to be changed behind the broker's back: it serves what they hold, and leaves checksums to readers."""

from collections.abc import Callable, Iterator
from pathlib import Path

from aiokafka.record.util import calc_crc32c

FRAME = 12
"""Bytes of a batch before those that its length counts: base offset (8), length (4). KIP-98, record batch version 2."""
CRC_AT = 17
CRC_FROM = 21


def segment_of(data: Path, topic: str) -> Path:
    """The file of the only partition of a topic that is new."""
    (segment,) = (data / f"{topic}-0").glob("*.log")
    return segment


def batches(content: bytes) -> Iterator[tuple[int, int]]:
    """Where each batch of records begins and ends."""
    at = 0
    while at + FRAME < len(content):
        length = int.from_bytes(content[at + 8 : at + FRAME], "big")
        if not length:
            return
        yield at, at + FRAME + length
        at += FRAME + length


def change(segment: Path, wanted: bytes, by: Callable[[bytes], bytes], *, checksum: bool) -> None:
    """Change the batches that hold some bytes. `checksum`: compute theirs anew, so that nobody who reads notices."""
    content = bytearray(segment.read_bytes())
    for begin, end in batches(bytes(content)):
        if wanted in content[begin:end]:
            changed = by(bytes(content[begin:end]))
            assert len(changed) == end - begin
            content[begin:end] = changed
            if checksum:
                crc = calc_crc32c(memoryview(bytes(content[begin + CRC_FROM : end])))
                content[begin + CRC_AT : begin + CRC_FROM] = crc.to_bytes(4, "big")
    with segment.open("r+b") as file:
        file.write(content)
