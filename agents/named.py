"""The digests by which envelopes are named, as the outbox keeps them: whatever algorithm their headers name."""

from __future__ import annotations

import re

from monitor.model.envelope import name_of
from monitor.model.suite import digest_again

UNKNOWN = bytes(32)
"""In place of a digest that the disk spoilt."""
_SHA256 = "sha256"
_OTHER = re.compile(rb"([a-z0-9-]{2,16}):(.{32}|.{48}|.{64})", re.DOTALL)


def kept_digest(payload: bytes) -> bytes:
    """Return the digest that names an envelope's bytes, as it is kept: SHA-256 as it is, another one behind its name."""
    name, _, digits = name_of(payload).partition(":")
    return bytes.fromhex(digits) if name == _SHA256 else name.encode("ascii") + b":" + bytes.fromhex(digits)


def told_digest(kept: object) -> str | None:
    """Return NAME:HEX of a digest that was kept; None of anything else."""
    if not isinstance(kept, bytes):
        return None
    if len(kept) == len(UNKNOWN):
        return f"{_SHA256}:{kept.hex()}"
    found = _OTHER.fullmatch(kept)
    return None if found is None else f"{found[1].decode('ascii')}:{found[2].hex()}"


def is_whole(payload: object, kept: object) -> bool:
    """Tell whether bytes are those that a digest was kept of; by an algorithm that isn't known any more nobody can tell."""
    told = told_digest(kept)
    return told is not None and isinstance(payload, bytes) and digest_again(payload, told) in {told, None}
