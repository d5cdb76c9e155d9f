#!/usr/bin/env python3
"""Checks that an event is in the history that a checkpoint of Playhead signed. Needs Python 3.8 and nothing else.

    python3 check_proof.py PROOF.json PUBLIC_KEY.json

PROOF.json is what `playhead audit prove` printed; PUBLIC_KEY.json a public key of the installation (RFC 8037), which
you got from it by a way that you trust, and not with the proof. The exit status is 0 if the proof holds, 1 if it does
not, 2 if it could not be checked. Ed25519 is RFC 8032, section 6; the tree is RFC 9162, section 2.1.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


class Wrong(Exception):
    """The proof does not hold; the message says why."""


def add(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The sum of two points, in extended coordinates."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    w, x, y, z = f - e, d - c, d + c, f + e
    return w * x % P, y * z % P, x * y % P, w * z % P


def multiplied(scalar: int, point: tuple[int, ...]) -> tuple[int, ...]:
    """A point so many times."""
    total: tuple[int, ...] = (0, 1, 1, 0)
    while scalar:
        total = add(total, point) if scalar & 1 else total
        point, scalar = add(point, point), scalar >> 1
    return total


def point_of(encoded: bytes) -> tuple[int, ...]:
    """The point that 32 bytes name."""
    number = int.from_bytes(encoded, "little")
    y, sign = number % 2**255, number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if len(encoded) != 32 or y >= P or (x * x - square) % P or (x == 0 and sign):
        raise Wrong("the key or the signature is no point of Ed25519")
    x = P - x if x % 2 != sign else x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def check_signature(public: bytes, signed: bytes, signature: bytes) -> None:
    """That a signature is by the owner of a public key, over these bytes."""
    if len(public) != 32 or len(signature) != 64:
        raise Wrong("the key or the signature has another length than Ed25519's")
    scalar = int.from_bytes(signature[32:], "little")
    digest = hashlib.sha512(signature[:32] + public + signed).digest()
    left = multiplied(scalar, BASE)
    right = add(point_of(signature[:32]), multiplied(int.from_bytes(digest, "little") % Q, point_of(public)))
    same = (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0
    if scalar >= Q or not same:
        raise Wrong("the checkpoint was not signed with this key")


def root_of(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that an audit path leads to from a leaf."""
    number, last, found = index, size - 1, leaf
    if not 0 <= index < size:
        raise Wrong("the tree has no such leaf")
    for sibling in path:
        if last == 0:
            raise Wrong("the audit path is too long")
        if number & 1 or number == last:
            found = hashlib.sha256(b"\x01" + sibling + found).digest()
            while number and not number & 1:
                number, last = number >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + sibling).digest()
        number, last = number >> 1, last >> 1
    if last:
        raise Wrong("the audit path is too short")
    return found


def leaf_of(record: dict[str, Any]) -> bytes:
    """The leaf of a record: the hash of its place and its bytes; of a proof without them, the hash that it gives."""
    if "leaf" in record:
        return bytes.fromhex(record["leaf"])
    key, value = base64.b64decode(record["key"]), base64.b64decode(record["value"])
    position = "" if record["position"] is None else record["position"]
    place = f"{record['topic']}\n{record['partition']}\n{record['offset']}\n{position}\n{len(key)}\n"
    return hashlib.sha256(b"\x00" + place.encode() + key + value).digest()


def unpadded(text: str) -> bytes:
    """The bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def check(proof: dict[str, Any], key: dict[str, Any]) -> str:
    """What holds, as a sentence. Raises Wrong, or KeyError and ValueError for what is no proof."""
    signed = proof["checkpoint"].encode()
    check_signature(unpadded(key["x"]), signed, unpadded(proof["signature"]))
    checkpoint, record = json.loads(signed), proof["record"]
    topic, partition, offset = record["topic"], record["partition"], record["offset"]
    where = f"offset {offset} of {topic}, partition {partition}"
    ranges = [each for each in checkpoint["ranges"] if (each["topic"], each["partition"]) == (topic, partition)]
    if len(ranges) != 1 or not ranges[0]["first"] <= offset <= ranges[0]["last"]:
        raise Wrong(f"the checkpoint does not hold {where}")
    first, last, size, index = ranges[0]["first"], ranges[0]["last"], ranges[0]["size"], proof["index"]
    path = [bytes.fromhex(each) for each in proof["path"]]
    if root_of(leaf_of(record), index, size, path).hex() != ranges[0]["root"]:
        raise Wrong("the record is not what the checkpoint's tree holds there")
    if size == last - first + 1 and index != offset - first:
        raise Wrong(f"that leaf of the tree is not {where}")
    what = "A record of which only the leaf is shown"
    if "value" in record:
        event = json.loads(base64.b64decode(record["value"]))
        what = f"Event {event['id']} ({event['type']}, recorded at {event['recordedtime']})"
    made = f"when checkpoint {checkpoint['number']} was made, at {checkpoint['at']}"
    return f"{what} was at {where} {made}, and signed with key {key['key_id']}."


def main(arguments: list[str]) -> int:
    """The exit status."""
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        proof, key = (json.loads(Path(name).read_text(encoding="utf-8")) for name in arguments)
        print(check(proof, key))
    except Wrong as error:
        print(f"The proof does not hold: {error}.")
        return 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"The proof could not be checked: {error!r}.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
