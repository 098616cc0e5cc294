"""Which reports go when the outbox is full or they are too old, and what the collector is told of them.

Periodic samples go first, the oldest first; then what lasts (changes of state, summaries of a day), the oldest first; the
one just written never. Each that goes is kept by number and digest until a report that tells of it was delivered.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import IntEnum

from agents.named import UNKNOWN, told_digest
from monitor.model.span import DAY, HOUR, Millis

MAX_DAYS = 100
"""So old may a report become: what the journal keeps, and longer than any pack looks back."""
LONGEST_PAUSE: Millis = HOUR
"""Between two reports no more than this counts as time: a clock that is set years ahead throws nothing away."""
RANGE_REPORTS = 500
"""So many reports are told as one range at most."""
TELL_LETTERS = 71_000
"""Of digests: of a thousand reports by SHA-256."""
TELL_RANGES = 200
"""So much of what had to go is told in one report; the rest in the next."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS sample (id INTEGER PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS day (number INTEGER PRIMARY KEY, first INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS gone (
    id INTEGER PRIMARY KEY, boot TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, why TEXT NOT NULL,
    digests BLOB NOT NULL, told_boot TEXT, told_sequence INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS gone_told ON gone (told_boot, told_sequence)
"""
WEIGH = "INSERT OR REPLACE INTO counter SELECT 'bytes', CAST(total(size) AS INTEGER) FROM report"
"""Counts the bytes of all reports anew, when the file is opened; from then on the counter goes with what comes and goes."""
_LARGEST = 1 << 40


class Worth(IntEnum):
    """What a report is worth keeping when not all can stay."""

    SAMPLE = 0
    """It says again what was said before."""
    LASTING = 1
    """It says something new, or sums up a day."""


@dataclass(frozen=True)
class Gone:
    """Reports that had to go: [first, last] of one boot, why (full | old | damaged | refused), and their digests in this order."""

    boot: str
    first: int
    last: int
    why: str
    digests: tuple[str, ...]
    id: int = 0


def count(connection: sqlite3.Connection, name: str, more: int) -> int:
    """Add to a counter; return what it is then."""
    sql = (
        "INSERT INTO counter VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"
        " RETURNING value"
    )
    return int(connection.execute(sql, (name, more)).fetchall()[0][0])


def grown(connection: sqlite3.Connection, size: int) -> int:
    """Note that the reports have so many bytes more, or fewer; return how many they have."""
    return count(connection, "bytes", size)


def entered(connection: sqlite3.Connection, number: int, worth: Worth, at: Millis | None) -> None:
    """Note what a new report is worth, and on which day of the agent's running it was written."""
    if worth is Worth.SAMPLE:
        connection.execute("INSERT OR REPLACE INTO sample VALUES (?)", (number,))
    if at is not None:
        connection.execute("INSERT OR IGNORE INTO day VALUES (?, ?)", (_ran(connection, at) // DAY, number))


def _ran(connection: sqlite3.Connection, at: Millis) -> Millis:
    """Return for how long reports have been written here, pauses and clock steps left out."""
    before = connection.execute("SELECT value FROM counter WHERE name = 'last_at'").fetchone()
    connection.execute("INSERT OR REPLACE INTO counter VALUES ('last_at', ?)", (at,))
    return count(connection, "ran", min(max(0, at - before[0]), LONGEST_PAUSE) if before else 0)


def make_room(connection: sqlite3.Connection, newest: int, max_bytes: int, max_days: int) -> None:
    """Drop what is too old, then by worth until the rest fits; never the report just written."""
    for (number,) in _too_old(connection, max_days):
        if number != newest:
            drop(connection, number, "old")
    while grown(connection, 0) > max_bytes:
        first = _first_to_go(connection, newest)
        if first is None:
            return
        drop(connection, first, "full")


def _too_old(connection: sqlite3.Connection, max_days: int) -> list[tuple[int]]:
    """Return the reports written before the last day that is too old had ended; those of before any day are of no known age."""
    (today,) = connection.execute("SELECT max(number) FROM day").fetchone()
    if today is None:
        return []
    (last,) = connection.execute("SELECT max(number) FROM day WHERE number <= ?", (today - max_days,)).fetchone()
    if last is None:
        return []
    connection.execute("DELETE FROM day WHERE number < ?", (last,))
    (first,) = connection.execute("SELECT min(first) FROM day WHERE number > ?", (last,)).fetchone()
    return connection.execute("SELECT id FROM report WHERE id < ? ORDER BY id", (first,)).fetchall()


def _first_to_go(connection: sqlite3.Connection, newest: int) -> int | None:
    for table in ("sample", "report"):
        sql = f"SELECT id FROM {table} WHERE id <> ? ORDER BY id LIMIT 1"  # noqa: S608  (two names of our own)
        row = connection.execute(sql, (newest,)).fetchone()
        if row is not None:
            return int(row[0])
    return None


def drop(connection: sqlite3.Connection, number: int, why: str) -> None:
    """Take a report out of the queue and keep its number and digest, to be told."""
    row = connection.execute("SELECT boot, sequence, digest FROM report WHERE id = ?", (number,)).fetchone()
    if row is None:
        connection.execute("DELETE FROM sample WHERE id = ?", (number,))
        return
    boot, sequence, digest = row
    remove(connection, number, boot, sequence)
    lost(connection, boot, sequence, digest if isinstance(digest, bytes) else b"", why)
    count(connection, "damaged" if why == "damaged" else "dropped", 1)
    connection.execute("INSERT OR REPLACE INTO counter VALUES ('heard', 0)")


def lost(connection: sqlite3.Connection, boot: str, sequence: int, digest: bytes, why: str) -> None:
    """Keep the number and the digest of a report that the collector won't have, to be told; what it told of is told again."""
    connection.execute(
        "UPDATE gone SET told_boot = NULL, told_sequence = NULL WHERE told_boot = ? AND told_sequence = ?",
        (boot, sequence),
    )
    _note(connection, boot, sequence, digest, why)


def _note(connection: sqlite3.Connection, boot: str, sequence: int, digest: bytes, why: str) -> None:
    digest = UNKNOWN if told_digest(digest) is None else digest
    # Those of a range are as long as each other: so they can be told apart.
    sql = (
        "UPDATE gone SET last = ?, digests = CAST(digests || ? AS BLOB) WHERE id = (SELECT max(id) FROM gone) AND told_boot IS NULL"
        " AND boot = ? AND why = ? AND last = ? AND last - first < ? AND length(digests) = (last - first + 1) * ?"
    )
    values = (sequence, digest, boot, why, sequence - 1, RANGE_REPORTS - 1, len(digest))
    if connection.execute(sql, values).rowcount == 0:
        sql = "INSERT INTO gone (boot, first, last, why, digests) VALUES (?, ?, ?, ?, ?)"
        connection.execute(sql, (boot, sequence, sequence, why, digest))


def remove(connection: sqlite3.Connection, number: int, boot: str, sequence: int) -> bool:
    """Take a report out of the queue; False when it isn't there. By place too: after damage ids begin anew."""
    sql = "DELETE FROM report WHERE id = ? AND boot = ? AND sequence = ? RETURNING size"
    row = connection.execute(sql, (number, boot, sequence)).fetchall()
    if row:
        size = row[0][0]
        if isinstance(size, int) and 0 <= size <= _LARGEST:
            grown(connection, -size)
        else:  # a damaged row
            connection.execute(WEIGH)
        connection.execute("DELETE FROM sample WHERE id = ?", (number,))
    return bool(row)


def deliver(connection: sqlite3.Connection, number: int, boot: str, sequence: int) -> bool:
    """Take a delivered report out of the queue, and with it what it told of."""
    connection.execute("DELETE FROM gone WHERE told_boot = ? AND told_sequence = ?", (boot, sequence))
    connection.execute("INSERT OR REPLACE INTO counter VALUES ('heard', 1)")
    return remove(connection, number, boot, sequence)


def to_tell(connection: sqlite3.Connection) -> list[Gone]:
    """Return what the next report has to tell: nothing while the collector is away, for then the report may go too."""
    heard = connection.execute("SELECT value FROM counter WHERE name = 'heard'").fetchone()
    if heard is not None and heard[0] == 0:
        return []
    taken: list[Gone] = []
    letters = 0
    for item in gone(connection, TELL_RANGES):
        letters += sum(map(len, item.digests))
        if taken and letters > TELL_LETTERS:
            break
        taken.append(item)
    return taken


def gone(connection: sqlite3.Connection, limit: int = -1) -> list[Gone]:
    """Return what is to be told, oldest first."""
    sql = "SELECT boot, first, last, why, digests, id FROM gone WHERE told_boot IS NULL ORDER BY id LIMIT ?"
    return [
        Gone(boot, first, last, why, tuple(_digests(digests, last - first + 1)), number)
        for boot, first, last, why, digests, number in connection.execute(sql, (limit,))
    ]


def _digests(data: bytes, count: int) -> list[str]:
    size = max(len(UNKNOWN), len(data) // max(1, count))
    return [
        told for start in range(0, len(data), size) if (told := told_digest(data[start : start + size])) is not None
    ]


def told(connection: sqlite3.Connection, items: tuple[Gone, ...], boot: str, sequence: int) -> None:
    """Note which report tells of these: they are forgotten when it was delivered."""
    sql = "UPDATE gone SET told_boot = ?, told_sequence = ? WHERE id = ?"
    connection.executemany(sql, [(boot, sequence, item.id) for item in items])


def rescue(damaged: sqlite3.Connection, fresh: sqlite3.Connection) -> None:
    """Copy from a damaged file what the collector is still to be told of, and which reports are samples."""
    columns = "boot, first, last, why, digests"
    for row in damaged.execute(f"SELECT {columns} FROM gone ORDER BY id"):  # noqa: S608  (columns of our own)
        fresh.execute(f"INSERT INTO gone ({columns}) VALUES (?, ?, ?, ?, ?)", row)  # noqa: S608
    for (number,) in damaged.execute("SELECT id FROM sample"):
        fresh.execute("INSERT OR IGNORE INTO sample SELECT id FROM report WHERE id = ?", (number,))
