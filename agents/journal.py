"""The agent's own ledger: what it has seen, so that a check and a restart know the history."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from agents.database import Database
from monitor.model.kept import Name
from monitor.model.observation import SPAN_KINDS, Kind, Observation, Subject
from monitor.model.report import MAX_AHEAD
from monitor.model.span import DAY, Millis, Spans

KEEP: Millis = 100 * DAY
"""The longest window that a pack asks for, and some days."""
PRUNED_AT_ONCE = 1000
"""So many spans go in one transaction: whoever watches cameras may wait for it."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS span (
    id INTEGER PRIMARY KEY, subject_kind TEXT NOT NULL, subject TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
    cause TEXT NOT NULL, basis TEXT NOT NULL, source TEXT NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, expires INTEGER NOT NULL, said TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS span_of ON span (subject_kind, subject, kind, state, cause, basis, source, "end");
CREATE INDEX IF NOT EXISTS span_ended ON span ("end");
CREATE TABLE IF NOT EXISTS instant (
    digest TEXT PRIMARY KEY, subject_kind TEXT NOT NULL, subject TEXT NOT NULL, kind TEXT NOT NULL,
    at INTEGER NOT NULL, expires INTEGER NOT NULL, content TEXT NOT NULL, low INTEGER, high INTEGER,
    said TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS instant_of ON instant (subject_kind, subject, kind, at);
CREATE TABLE IF NOT EXISTS first_seen (
    subject_kind TEXT NOT NULL, subject TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (subject_kind, subject)) STRICT, WITHOUT ROWID
"""


class Journal:
    """Observations in SQLite: spans that touch are one row, instants only where they say something new.

    May be used by several threads and processes at once; appending in any order and twice comes to the same facts.
    """

    def __init__(self, path: Path, *, patient: bool = False) -> None:
        """Open or make the file. Raises DatabaseError when that is not possible; a `patient` one at each use instead."""
        self._database = Database(path, _SCHEMA, patient=patient)
        self.unreadable = 0
        """Rows that the last reading of everything had to leave out."""
        self.unreadable_spans = 0
        """Rows that the last reading of a stretch of time had to leave out."""

    @property
    def set_aside(self) -> list[Path]:
        """Damaged files that were put away: the history in them is unknown."""
        return self._database.set_aside

    @property
    def problem(self) -> str | None:
        """Why nothing can be kept or read now, one sentence; None when it can."""
        return self._database.problem

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def append(self, observations: Iterable[Observation]) -> None:
        """Keep observations, durably when this returns. Raises DatabaseError when that is not possible."""
        items = list(observations)

        def work(connection: sqlite3.Connection) -> None:
            for item in items:
                _note_first_seen(connection, item)
                if item.kind in SPAN_KINDS:
                    _add_span(connection, item)
                else:
                    _add_instant(connection, item)

        if items:
            self._database.run(work)

    def all(self, as_of: Millis, *, indexes: bool = True, spans: bool = True) -> list[Observation]:
        """Return what was seen up to `as_of` (UTC ms): feed for monitor.model.ledger.fold.

        Without `indexes` the readings of cameras' indexes are left out, of which there are megabytes; without `spans`
        when something was up, and looked well: a camera that loses its connection each minute leaves half a million, of
        three kilobytes each. A row that can't be read any more is left out: what it said is unknown.
        """

        def work(connection: sqlite3.Connection) -> list[tuple[str, dict[str, Millis]]]:
            sql = 'SELECT said, start, "end", expires FROM span WHERE start <= ? AND ?'
            told = connection.execute(sql, (as_of, spans))
            edges = ("start", "end", "expires")
            found = [(said, dict(zip(edges, values, strict=True))) for said, *values in told]
            instants = connection.execute(
                "SELECT said FROM instant WHERE at <= ? AND (? OR kind != 'recordings' OR subject_kind != 'camera')",
                (as_of, indexes),
            )
            return found + [(said, {}) for (said,) in instants]

        rows = self._database.read(work)
        found = [item for item in (_read(said, edges) for said, edges in rows) if item is not None]
        self.unreadable = len(rows) - len(found)
        return found

    def spans_between(self, low: Millis, high: Millis) -> list[Observation]:
        """Return what held in [low, high) as few spans, cut at its edges; nothing is presumed beyond an edge that was cut."""
        rows = self._database.read(
            lambda connection: connection.execute(
                'SELECT said, start, "end", expires FROM span WHERE "end" > ? AND start < ? ORDER BY start', (low, high)
            ).fetchall()
        )
        found = []
        for said, start, end, expires in rows:
            edges = {"start": max(start, low), "end": min(end, high), "expires": expires if end <= high else high}
            found.append(_read(said, edges))
        readable = [item for item in found if item is not None]
        self.unreadable_spans = len(found) - len(readable)
        return readable

    def index_windows(self, camera: str, since: Millis = 0) -> list[tuple[Millis, Millis, Millis]]:
        """Return the windows of a camera's index that were read at or after `since`: (low, high, read at), UTC ms."""
        rows = self._database.read(
            lambda connection: connection.execute(
                "SELECT low, high, at FROM instant WHERE subject_kind = 'camera' AND subject = ? AND kind = ?"
                " AND at >= ? AND low IS NOT NULL ORDER BY at",
                (camera, Kind.RECORDINGS, since),
            ).fetchall()
        )
        return [(low, high, at) for low, high, at in rows]

    def index_names(self, as_of: Millis) -> dict[str, list[Name]]:
        """Return the names of all readings of each camera's index up to `as_of` (UTC ms), in the order of a fold."""
        rows = self._database.read(
            lambda connection: connection.execute(
                "SELECT subject, at, digest FROM instant WHERE kind = 'recordings' AND subject_kind = 'camera' AND at <= ?"
                " ORDER BY subject, at, digest",
                (as_of,),
            ).fetchall()
        )
        named: dict[str, list[Name]] = {}
        for camera, at, digest in rows:
            named.setdefault(camera, []).append((at, digest))
        return named

    def readings(self, camera: str, names: Sequence[Name]) -> list[Observation]:
        """Return the readings of a camera's index by their names, given in order; unreadable ones left out."""
        if not names:
            return []
        rows = self._database.read(
            lambda connection: connection.execute(
                "SELECT at, digest, said FROM instant WHERE kind = 'recordings' AND subject_kind = 'camera' AND subject = ?"
                " AND at BETWEEN ? AND ? ORDER BY at, digest",
                (camera, names[0][0], names[-1][0]),
            ).fetchall()
        )
        wanted = set(names)
        found = (_read(said, {}) for at, digest, said in rows if (at, digest) in wanted)
        return [item for item in found if item is not None]

    def of(self, subject: Subject, kind: Kind, since: Millis = 0) -> list[Observation]:
        """Return the instants of `kind` on a subject seen at or after `since`, in order of time; unreadable ones left out."""
        rows = self._database.read(
            lambda connection: connection.execute(
                "SELECT said FROM instant WHERE subject_kind = ? AND subject = ? AND kind = ? AND at >= ?"
                " ORDER BY at, digest",
                (subject.kind, subject.id, kind, since),
            ).fetchall()
        )
        return [item for item in (_read(said, {}) for (said,) in rows) if item is not None]

    def first_seen(self) -> dict[Subject, Millis]:
        """Return when each subject was first spoken of; this outlives what is pruned."""
        rows = self._database.read(
            lambda connection: connection.execute("SELECT subject_kind, subject, at FROM first_seen").fetchall()
        )
        return {Subject(kind=kind, id=subject): at for kind, subject, at in rows}

    def prune(self, as_of: Millis, keep: Millis = KEEP, *, most: int = PRUNED_AT_ONCE) -> int:
        """Forget what is older than `keep` before `as_of`, but the newest word of each kind on each subject.

        Returns how many rows went: at most `most` spans at once, so that nobody waits long for the file. To be called until
        nothing goes.
        """
        oldest = as_of - keep

        def work(connection: sqlite3.Connection) -> int:
            spans = connection.execute(
                'DELETE FROM span WHERE id IN (SELECT id FROM span AS old WHERE "end" < ? AND EXISTS (SELECT 1 FROM span AS newer'
                " WHERE newer.subject_kind = old.subject_kind AND newer.subject = old.subject AND newer.kind = old.kind"
                ' AND newer."end" > old."end") LIMIT ?)',
                (oldest, most),
            ).rowcount
            # A statement holds until it expires, and stays in the record for as long again as everything else.
            instants = connection.execute(
                "DELETE FROM instant WHERE max(at, CASE kind WHEN 'attestation' THEN expires ELSE at END) < ?"
                " AND digest NOT IN (SELECT digest FROM (SELECT digest, row_number() OVER"
                " (PARTITION BY subject_kind, subject, kind ORDER BY at DESC) AS place FROM instant) WHERE place = 1)",
                (oldest,),
            ).rowcount
            return spans + instants

        return self._database.run(work)


def _note_first_seen(connection: sqlite3.Connection, item: Observation) -> None:
    sql = "INSERT INTO first_seen VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = min(at, excluded.at)"
    connection.execute(sql, (item.subject.kind, item.subject.id, item.start))


def _read(said: str, edges: dict[str, Millis]) -> Observation | None:
    try:
        if not edges:  # an index of thousands of spans is read in less than half of the time so
            return Observation.model_validate_json(said)
        return Observation.model_validate({**json.loads(said), **edges})
    except (ValueError, TypeError):
        return None


def _add_span(connection: sqlite3.Connection, item: Observation) -> None:
    """Insert a span, melted with those of the same state that it overlaps or touches."""
    same = (item.subject.kind, item.subject.id, item.kind, item.state, item.cause or "", item.basis or "", item.source)
    rows = connection.execute(
        'SELECT id, start, "end", expires, said FROM span WHERE subject_kind = ? AND subject = ? AND kind = ?'
        ' AND state = ? AND cause = ? AND basis = ? AND source = ? AND "end" >= ? AND start <= ?',
        (*same, item.start, item.end),
    ).fetchall()
    newest = max([(item.end, item.start, item.model_dump_json()), *((row[2], row[1], row[4]) for row in rows)])
    start = min([item.start, *(row[1] for row in rows)])
    end = max([item.end, *(row[2] for row in rows)])
    expires = max([item.expires, *(row[3] for row in rows)])
    connection.executemany("DELETE FROM span WHERE id = ?", [(row[0],) for row in rows])
    connection.execute(
        'INSERT INTO span (subject_kind, subject, kind, state, cause, basis, source, start, "end", expires, said)'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*same, start, end, expires, newest[2]),
    )


def _add_instant(connection: sqlite3.Connection, item: Observation) -> None:
    said = item.model_dump(mode="json")
    content = json.dumps([said[key] for key in ("state", "cause", "source", "facts")], sort_keys=True)
    window = _window(item.facts) if item.kind is Kind.RECORDINGS and item.state != "unknown" else None
    low, high = window or (None, None)
    added = connection.execute(
        "INSERT OR IGNORE INTO instant VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(item.digest, item.subject.kind, item.subject.id, item.kind, item.start, item.expires),
            *(content, low, high, item.model_dump_json()),
        ),
    ).rowcount
    if added and item.kind is Kind.RECORDINGS:
        _drop_replaced(connection, item)
    elif added and item.kind is not Kind.ATTESTATION:
        _drop_repeated(connection, item)


def _window(facts: dict[str, Any]) -> tuple[Millis, Millis] | None:
    """Return the window of an index reading; None when it has none that can be read."""
    window = facts.get("window")
    if (
        isinstance(window, list)
        and len(window) == 2
        and all(type(edge) is int and abs(edge) < 2**53 for edge in window)
    ):
        return window[0], window[1]
    return None


def _drop_replaced(connection: sqlite3.Connection, item: Observation) -> None:
    """Forget index readings whose whole window was read again later, and all refusals but the newest.

    What is dated far ahead of a reading that comes now was read before it, by a clock that was wrong.
    """
    rows = connection.execute(
        "SELECT digest, low, high FROM instant WHERE subject_kind = ? AND subject = ? AND kind = ?"
        " ORDER BY at > ?, at DESC, digest DESC",
        (item.subject.kind, item.subject.id, item.kind, item.start + MAX_AHEAD),
    ).fetchall()
    read = Spans.empty()
    refused = False
    for digest, low, high in rows:
        window = Spans.window(low, high) if low is not None else Spans.empty()
        if window.subtract(read) or (low is None and not refused):
            read = read.union(window)
            refused = refused or low is None
        else:
            connection.execute("DELETE FROM instant WHERE digest = ?", (digest,))


def _drop_repeated(connection: sqlite3.Connection, item: Observation) -> None:
    """Of answers in a row that say the same keep the first and the last: the first tells since when, the last is fresh."""
    of = (item.subject.kind, item.subject.id, item.kind)
    near = "SELECT digest, content, at FROM instant WHERE subject_kind = ? AND subject = ? AND kind = ?"
    rows = {
        *connection.execute(f"{near} AND at <= ? ORDER BY at DESC, digest DESC LIMIT 4", (*of, item.start)),
        *connection.execute(f"{near} AND at >= ? ORDER BY at, digest LIMIT 4", (*of, item.start)),
    }
    ordered = sorted(rows, key=lambda row: (row[2], row[0]))
    for before, here, after in zip(ordered, ordered[1:], ordered[2:], strict=False):
        if before[1] == here[1] == after[1]:
            connection.execute("DELETE FROM instant WHERE digest = ?", (here[0],))
