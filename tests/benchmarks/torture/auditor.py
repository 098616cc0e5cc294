"""Reads the agent's outbox and what a collector got as plain rows and JSON, and says what is lost, double or out of line.

Nothing here imports the product: SQLite, hashes and JSON of the standard library alone.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Position = tuple[str, int]


@dataclass
class Outbox:
    """What lies in an outbox's file."""

    waiting: dict[Position, bytes] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    """The last number that was given in each boot."""
    gone: set[Position] = field(default_factory=set)
    """What it says it had to give up."""


def read_outbox(path: Path) -> Outbox:
    """Read the file as it lies, log included."""
    found = Outbox()
    with closing(sqlite3.connect(path)) as connection:
        for boot, sequence, payload, digest in connection.execute("SELECT boot, sequence, payload, digest FROM report"):
            assert hashlib.sha256(payload).digest() == digest, f"{boot}/{sequence} is garbled"
            found.waiting[boot, sequence] = payload
        found.last = dict(connection.execute("SELECT boot, last FROM boot").fetchall())
        for boot, first, last in connection.execute("SELECT boot, first, last FROM gone"):
            found.gone |= {(boot, number) for number in range(first, last + 1)}
    return found


def journal_spans(path: Path, subject: str = "gate") -> list[tuple[int, int]]:
    """Read when a camera's stream was up by the journal's file as it lies, log included."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(
            'SELECT start, "end" FROM span WHERE subject = ? AND kind = ? AND state = ?', (subject, "stream", "up")
        )
        return [(int(start), int(end)) for start, end in found]


def header_of(envelope: bytes) -> dict[str, Any]:
    """Return the signed header of an envelope."""
    text = envelope.partition(b".")[0]
    header: dict[str, Any] = json.loads(urlsafe_b64decode(text + b"=" * (-len(text) % 4)))
    return header


def digest_of(envelope: bytes) -> str:
    """Return the digest by which the next one names it."""
    return "sha256:" + hashlib.sha256(envelope).hexdigest()


def chain_problems(envelopes: Iterable[tuple[dict[str, Any], str]]) -> list[str]:
    """Say what is wrong with a chain of (header, digest) that should be whole: one beginning, no fork, no hole."""
    items = list(envelopes)
    by_place = {(header["boot"], header["sequence"]): digest for header, digest in items}
    problems = [] if len(by_place) == len(items) else ["a number was used for two reports"]
    followed: set[Position] = set()
    beginnings = 0
    for header, _ in items:
        after = header["after"]
        if after is None:
            beginnings += 1
            continue
        place = (after["boot"], after["sequence"])
        if by_place.get(place) != after["digest"]:
            problems.append(f"{place} is not what {header['sequence']} of {header['boot']} follows")
        if place in followed:
            problems.append(f"two reports follow {place}")
        followed.add(place)
    if beginnings > 1:
        problems.append(f"the chain begins {beginnings} times")
    return problems


def number_problems(last: dict[str, int], found: set[Position]) -> list[str]:
    """Say which numbers that were given out are nowhere."""
    wanted = {(boot, number) for boot, upto in last.items() for number in range(1, upto + 1)}
    return [f"report {number} of boot {boot} is lost" for boot, number in sorted(wanted - found)]
