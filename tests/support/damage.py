"""Damage as disks do it, from a seed: flipped bits, zeroed pages, noise, a file cut short."""

from __future__ import annotations

import random


def damage(content: bytes, seeded: random.Random) -> bytes:
    """Return the bytes of a file after some damage."""
    changed = bytearray(content)
    way = seeded.choice(["flip", "zero", "cut", "noise"])
    if way == "flip":
        for _ in range(seeded.randrange(1, 20)):
            changed[seeded.randrange(len(changed))] ^= 1 << seeded.randrange(8)
    elif way == "cut":
        del changed[seeded.randrange(len(changed)) :]
    else:
        start = seeded.randrange(len(changed)) // 4096 * 4096
        page = bytes(4096) if way == "zero" else seeded.randbytes(4096)
        changed[start : start + 4096] = page
    return bytes(changed)
