"""The certificates that recorders showed at first, kept over restarts: another one later is not trusted."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from agents.database import DatabaseError
from agents.enduring import Enduring

_SCHEMA = "CREATE TABLE IF NOT EXISTS pin (place TEXT PRIMARY KEY, sha256 TEXT NOT NULL) STRICT, WITHOUT ROWID"


class Pins:
    """Fingerprints by place: a recorder and its address, so that a recorder at another address begins anew."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; where the disk refuses it, what is known is in memory until it doesn't."""
        self._kept = Enduring(path, _SCHEMA)

    @property
    def problem(self) -> str | None:
        """Why what is known is in memory alone, one sentence; None when it is in the file."""
        return self._kept.problem

    def try_again(self) -> None:
        """Put what is in memory alone into the file, where the disk takes it again."""
        self._kept.try_again()

    def close(self) -> None:
        """Close the file."""
        self._kept.close()

    def get(self, place: str) -> str | None:
        """Return the SHA-256 kept for `place`, 64 hexadecimal digits; None without any. Raises DatabaseError."""
        row = self._kept.run(
            lambda connection: connection.execute("SELECT sha256 FROM pin WHERE place = ?", (place,)).fetchone()
        )
        return str(row[0]) if row else None

    def keep(self, place: str, sha256: str) -> None:
        """Keep the first fingerprint of `place`; one that can't be written now is kept at the next start."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO pin VALUES (?, ?)", (place, sha256))

        with suppress(DatabaseError):
            self._kept.run(work)
