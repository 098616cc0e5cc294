"""The certificates that recorders showed at first, kept over restarts: another one later is not trusted."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from agents.behind import Behind
from agents.database import DatabaseError
from agents.enduring import Enduring

_SCHEMA = "CREATE TABLE IF NOT EXISTS pin (place TEXT PRIMARY KEY, sha256 TEXT NOT NULL) STRICT, WITHOUT ROWID"


class Pins:
    """Fingerprints by place: a recorder and its address, so that a recorder at another address begins anew.

    What is known is in memory, and written beside: whoever connects to a recorder doesn't wait for the disk.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file; where the disk refuses it, what is known is in memory until it doesn't."""
        self._kept = Enduring(path, _SCHEMA)
        self._behind = Behind("pins", self._kept, "SELECT place, sha256 FROM pin", _write)

    @property
    def problem(self) -> str | None:
        """Why what is known is in memory alone, one sentence; None when it is in the file."""
        return self._kept.problem

    def try_again(self) -> None:
        """Put what is in memory alone into the file, where the disk takes it again."""
        self._kept.try_again()

    def settle(self) -> None:
        """Wait until what was seen is written, and see what others saw first. For a thread. Raises DatabaseError."""
        self._behind.settle()

    def close(self) -> None:
        """Write what is still to be written, and close the file."""
        self._behind.close()

    def get(self, place: str) -> str | None:
        """Return the SHA-256 kept for `place`, 64 hexadecimal digits; None without any."""
        return self._behind.get(place)

    def keep(self, place: str, sha256: str) -> None:
        """Keep the first fingerprint of `place`; one that the disk refuses is in memory until it does not."""
        if self._behind.get(place) is None:
            with suppress(DatabaseError):
                self._behind.put(place, sha256)


def _write(connection: sqlite3.Connection, place: str, sha256: str | None) -> None:
    """Put a place's first fingerprint into the file; where another process was first, its stays."""
    connection.execute("INSERT OR IGNORE INTO pin VALUES (?, ?)", (place, sha256))
