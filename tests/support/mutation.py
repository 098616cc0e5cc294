"""Seeded changes of bytes: flips, cuts, repeats, swaps. Each differs from the original."""

from __future__ import annotations

import random
from collections.abc import Iterator

from monitor.model.envelope import frame


def mutants(original: bytes, seeded: random.Random, count: int) -> Iterator[bytes]:
    """Give `count` changed copies of the bytes."""
    given = 0
    while given < count:
        changed = bytearray(original)
        for _ in range(seeded.choice((1, 1, 1, 2, 5))):
            _change(changed, seeded)
        if bytes(changed) != original:
            given += 1
            yield bytes(changed)


def requests(envelope: bytes, seeded: random.Random, count: int) -> Iterator[bytes]:
    """Give `count` bodies: by turns a changed envelope in a sound frame, and a sound envelope in a changed one."""
    inside, outside = mutants(envelope, seeded, count), mutants(frame([envelope]), seeded, count)
    for number in range(count):
        yield frame([next(inside)]) if number % 4 < 2 else next(outside)


def _change(data: bytearray, seeded: random.Random) -> None:
    at = seeded.randrange(len(data)) if data else 0
    length = seeded.choice((1, 2, 8, 64, 512))
    match seeded.randrange(6):
        case 0:
            data[at : at + 1] = bytes([(data[at] if data else 0) ^ (1 << seeded.randrange(8))])
        case 1:
            data[at : at + length] = b""
        case 2:
            data[at:at] = seeded.randbytes(length)
        case 3:
            data[at:at] = data[at : at + length]
        case 4:
            data[at : at + 1] = seeded.choice((b".", b"\n", b":", b",", b'"', b"{", b"}", b"0", b"\xff", b"A", b"-"))
        case _:
            other = seeded.randrange(len(data)) if data else 0
            data[at : at + length], data[other : other + length] = data[other : other + length], data[at : at + length]
