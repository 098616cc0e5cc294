"""The other side of B13: the rows of the same reports written into the same SQLite file by executemany."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from benchmarks.intake.reports import AGENT, CAMERAS

_REPORT = "INSERT INTO report VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)"
_COLUMNS = "institution_id, kind, subject_kind, subject_id, lane, start_at, end_at, newest, lasting"
_KEY = "institution_id, kind, subject_kind, subject_id, lane, start_at"
_CHANGED = "end_at = excluded.end_at, newest = excluded.newest, lasting = excluded.lasting"
_SPAN = (
    f"INSERT INTO span ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT ({_KEY}) DO UPDATE SET {_CHANGED}"
)
_AGENT = "UPDATE agent SET reports = reports + ?, last_report_at = ?, chain = ? WHERE institution_id = ? AND id = ?"
_BOOT = "a" * 32
_START = 1_795_000_000_000


def write(path: Path, sites: Iterable[str], envelope: bytes, together: int, rounds: int, first: int) -> float:
    """Write `rounds` times `together` reports of each site, numbered from `first`, one commit a round and site.

    Return the seconds. Commits are synced, as the collector's are.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")
        began = time.monotonic()
        for turn in range(rounds):
            for site in sites:
                _write(connection, site, envelope, first + turn * together, together)
        return time.monotonic() - began


def _write(connection: sqlite3.Connection, site: str, envelope: bytes, first: int, together: int) -> None:
    at = _START + first
    reports = [
        (site, AGENT, _BOOT, first + number, "sha256-" + "d" * 64, envelope, "k" * 43, at, at, at, first + number)
        for number in range(together)
    ]
    spans = [
        (site, "stream", "camera", f"camera-{number}", "up|-|watched|probe", _START, at, "x" * 218, None)
        for number in range(CAMERAS)
    ]
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE institution SET last_report_at = ? WHERE id = ?", (at, site))
    connection.executemany(_REPORT, reports)
    connection.executemany(_SPAN, spans)
    connection.execute(_AGENT, (together, at, "c" * 560, site, AGENT))
    connection.execute("COMMIT")
